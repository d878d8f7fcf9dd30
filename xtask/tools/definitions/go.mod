// CRDs of other projects that the chart makes objects of: tests give them to an
// API server. Only their folders are read; nothing is built.
module tidegate/tools/definitions

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.19.1
	github.com/kedacore/keda/v2 v2.18.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
