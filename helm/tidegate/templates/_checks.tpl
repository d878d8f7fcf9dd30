{{/* Combinations that the schema cannot tell and that would fail later, or silently. */}}
{{- define "tidegate.checks" -}}
{{- $c := .Values.controller -}}
{{- if contains "ingress-nginx/controller" (default $c.image.image $c.image.repository) -}}
{{- fail "controller.image is ingress-nginx's program: leave it out, or name an image of tidegate" -}}
{{- end -}}
{{- if not (default $c.image.image $c.image.repository) -}}
{{- fail "controller.image.image is empty: leave it out, or name an image of tidegate" -}}
{{- end -}}
{{- if and $c.autoscaling.enabled $c.keda.enabled -}}
{{- fail "controller.autoscaling.enabled and controller.keda.enabled: only one of them can scale the Deployment" -}}
{{- end -}}
{{- if and (eq $c.kind "DaemonSet") (or $c.autoscaling.enabled $c.keda.enabled) -}}
{{- fail "controller.kind is DaemonSet, which cannot be scaled: disable controller.autoscaling and controller.keda" -}}
{{- end -}}
{{- if and .Values.rbac.scope (not $c.scope.enabled) -}}
{{- fail "rbac.scope gives rights in one namespace only: set controller.scope.enabled, too" -}}
{{- end -}}
{{- if and .Values.rbac.scope $c.scope.namespaceSelector -}}
{{- fail "rbac.scope gives no right to list namespaces, which controller.scope.namespaceSelector needs: use rbac.namespaces" -}}
{{- end -}}
{{- if and $c.scope.namespace $c.scope.namespaceSelector -}}
{{- fail "controller.scope.namespace and controller.scope.namespaceSelector: only one of them" -}}
{{- end -}}
{{- if le ($c.terminationGracePeriodSeconds | int) ($c.shutdownGracePeriod | int) -}}
{{- fail (printf "controller.terminationGracePeriodSeconds (%d) must be longer than controller.shutdownGracePeriod (%d)" ($c.terminationGracePeriodSeconds | int) ($c.shutdownGracePeriod | int)) -}}
{{- end -}}
{{- $ports := dict -}}
{{- $taken := list
  (list "controller.containerPort.http" (include "tidegate.httpPort" .))
  (list "controller.containerPort.https" (include "tidegate.httpsPort" .))
  (list "controller.metrics.port" (toString $c.metrics.port)) -}}
{{- if $c.admissionWebhooks.enabled -}}
{{- $taken = append $taken (list "controller.admissionWebhooks.port" (toString $c.admissionWebhooks.port)) -}}
{{- end -}}
{{- range $port, $_ := .Values.tcp -}}
{{- $taken = append $taken (list (printf "tcp.%s" $port) $port) -}}
{{- end -}}
{{- range $taken -}}
{{- $name := index . 0 -}}
{{- $port := index . 1 -}}
{{- with get $ports $port -}}
{{- fail (printf "%s and %s are both port %s of the pod" . $name $port) -}}
{{- end -}}
{{- $_ := set $ports $port $name -}}
{{- end -}}
{{- if $c.ingressClassResource.enabled -}}
{{- range prepend $c.ingressClassResource.aliases $c.ingressClassResource.name -}}
{{- $class := lookup "networking.k8s.io/v1" "IngressClass" "" . -}}
{{- if $class -}}
{{- $annotations := default dict $class.metadata.annotations -}}
{{- $owner := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if or (ne $owner $.Release.Name) (ne $namespace $.Release.Namespace) -}}
{{- fail (printf "IngressClass %q exists and is not of this release (but of %q). To serve it as it is: --set controller.ingressClassResource.enabled=false. To run beside the other controller: other values for controller.ingressClassResource.name and controller.ingressClassResource.controllerValue" . (default "nobody's release" $owner)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
