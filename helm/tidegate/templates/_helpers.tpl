{{/* Names */}}
{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "tidegate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tidegate.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "tidegate.controller" -}}
{{- printf "%s-%s" (include "tidegate.fullname" .) .Values.controller.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.backend" -}}
{{- printf "%s-%s" (include "tidegate.fullname" .) .Values.defaultBackend.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.webhook" -}}
{{- printf "%s-%s" (include "tidegate.fullname" .) .Values.controller.admissionWebhooks.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.webhookService" -}}
{{- printf "%s-%s" (include "tidegate.controller" .) .Values.controller.admissionWebhooks.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.webhookSecret" -}}
{{- default (include "tidegate.webhook" .) .Values.controller.admissionWebhooks.existingSecret -}}
{{- end -}}

{{- /* The leader makes the certificate, unless somebody else does, or it may not write in the whole cluster. */}}
{{- define "tidegate.webhookKept" -}}
{{- $w := .Values.controller.admissionWebhooks -}}
{{- if and $w.enabled (not $w.certManager.enabled) (not $w.existingSecret) (not .Values.rbac.scope) }}yes{{ end -}}
{{- end -}}

{{- define "tidegate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.lease" -}}
{{- default (printf "%s-leader" (include "tidegate.fullname" .)) .Values.controller.electionID -}}
{{- end -}}

{{/* Labels. Selectors cannot change in an upgrade. */}}
{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidegate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidegate.controllerSelector" -}}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "tidegate.backendSelector" -}}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/component: default-backend
{{- end -}}

{{- define "tidegate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "tidegate.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The metadata of an object: (dict "root" $ "name" … "component" … "labels" … "annotations" … "namespace" …). */}}
{{- define "tidegate.metadata" -}}
name: {{ .name }}
{{- if ne (toString .namespace) "cluster" }}
namespace: {{ default (include "tidegate.namespace" .root) .namespace }}
{{- end }}
labels:
  {{- include "tidegate.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ default "controller" .component }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Images: (dict "root" $ "image" …). */}}
{{- define "tidegate.image" -}}
{{- $registry := default .image.registry .root.Values.global.image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- default .image.image .image.repository -}}
{{- if .image.digest -}}@{{ .image.digest }}{{- else -}}:{{ default .root.Chart.AppVersion .image.tag }}{{- end -}}
{{- end -}}

{{/* Ports in the pod. */}}
{{- define "tidegate.httpPort" -}}
{{- default (ternary 80 8080 .Values.controller.hostNetwork) .Values.controller.containerPort.http -}}
{{- end -}}
{{- define "tidegate.httpsPort" -}}
{{- default (ternary 443 8443 .Values.controller.hostNetwork) .Values.controller.containerPort.https -}}
{{- end -}}

{{/* "true" where the kernel gives the ports to root alone: below 1024 in the node's network. */}}
{{- define "tidegate.privilegedPorts" -}}
{{- $low := or (lt (include "tidegate.httpPort" . | int) 1024) (lt (include "tidegate.httpsPort" . | int) 1024) -}}
{{- if and .Values.controller.hostNetwork $low -}}true{{- end -}}
{{- end -}}

{{/* The name of a TCP or UDP port: (dict "root" $ "port" … "protocol" "tcp"). */}}
{{- define "tidegate.streamPort" -}}
{{- with .root.Values.portNamePrefix }}{{ . }}-{{ end -}}{{ .port }}-{{ .protocol }}
{{- end -}}

{{/* "true" when Ingresses of the whole cluster, or of namespaces by label, are served. */}}
{{- define "tidegate.scopedNamespace" -}}
{{- if and .Values.controller.scope.enabled (not .Values.controller.scope.namespaceSelector) -}}
{{- default (include "tidegate.namespace" .) .Values.controller.scope.namespace -}}
{{- end -}}
{{- end -}}

{{/* The Service whose addresses are published; empty: none. */}}
{{- define "tidegate.publishService" -}}
{{- $service := .Values.controller.service -}}
{{- /* Addresses come from one place. */}}
{{- if and .Values.controller.publishService.enabled (not (hasKey .Values.controller.extraArgs "publish-status-address")) -}}
{{- if .Values.controller.publishService.pathOverride -}}
{{- .Values.controller.publishService.pathOverride -}}
{{- else if and $service.enabled $service.external.enabled -}}
{{- printf "%s/%s" (include "tidegate.namespace" .) (include "tidegate.controller" .) -}}
{{- else if and $service.enabled $service.internal.enabled -}}
{{- printf "%s/%s-internal" (include "tidegate.namespace" .) (include "tidegate.controller" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" when statuses show the addresses of nodes. */}}
{{- define "tidegate.publishesNodes" -}}
{{- $other := or (hasKey .Values.controller.extraArgs "publish-status-address") (hasKey .Values.controller.extraArgs "publish-service") -}}
{{- if and (include "tidegate.writesStatuses" .) (not (include "tidegate.publishService" .)) (not $other) -}}true{{- end -}}
{{- end -}}

{{- define "tidegate.writesStatuses" -}}
{{- if ne (toString (index .Values.controller.extraArgs "update-status")) "false" -}}true{{- end -}}
{{- end -}}

{{/* The ports of Gateways' Services on the pods, if the settings ask for Services. */}}
{{- define "tidegate.gatewayServices" -}}
{{- $services := dig "gatewayApi" "services" "" .Values.controller.settings -}}
{{- if and .Values.controller.gatewayAPI.enabled (kindIs "map" $services) -}}
{{- default "20000-20999" $services.ports -}}
{{- end -}}
{{- end -}}

{{/* Values of ingress-nginx's chart that mean nothing here, one a line. */}}
{{- define "tidegate.ignoredValues" -}}
{{- $controller := .Values.controller -}}
{{- $ignored := dict
  "enableMimalloc" "the allocator is built in"
  "enableAnnotationValidations" "annotations are always checked"
  "extraModules" "there are no modules"
  "customTemplate" "there is no template"
  "maxmindLicenseKey" "GeoIP databases are mounted, not downloaded: see extraVolumes"
  "opentelemetry" "tracing needs no module" -}}
{{- range $name, $why := $ignored }}
{{- if hasKey $controller $name }}
controller.{{ $name }}: {{ $why }}
{{- end }}
{{- end }}
{{- if .Values.dhParam }}
dhParam: no cipher with finite-field Diffie-Hellman is offered
{{- end }}
{{- if or $controller.image.chroot $controller.image.digestChroot }}
controller.image.chroot: there is no second image
{{- end }}
{{- range $path, $value := dict "controller" $controller "controller.tcp" (default dict $controller.tcp) "controller.udp" (default dict $controller.udp) }}
{{- if $value.configMapNamespace }}
{{ $path }}.configMapNamespace: ConfigMaps are in the namespace of the release
{{- end }}
{{- end }}
{{- range $name := list "patch" "createSecretJob" "patchWebhookJob" "extraEnvs" }}
{{- if hasKey $controller.admissionWebhooks $name }}
controller.admissionWebhooks.{{ $name }}: no jobs are needed for the certificate
{{- end }}
{{- end }}
{{- if $controller.admissionWebhooks.certManager.rootCert }}
controller.admissionWebhooks.certManager.rootCert: the certificate signs itself
{{- end }}
{{- range $name := list "autoscaling" "serviceAccount" "extraConfigMaps" }}
{{- if hasKey $.Values.defaultBackend $name }}
defaultBackend.{{ $name }}: the default backend is a plain Deployment without rights
{{- end }}
{{- end }}
{{- if include "tidegate.foreignPreStop" . }}
controller.lifecycle.preStop: /wait-shutdown is ingress-nginx's; SIGTERM drains
{{- end }}
{{- end -}}

{{- define "tidegate.foreignPreStop" -}}
{{- $stop := default dict .Values.controller.lifecycle.preStop -}}
{{- if has "/wait-shutdown" (default list (default dict $stop.exec).command) -}}true{{- end -}}
{{- end -}}

{{/* What every Service may have besides its ports. */}}
{{- define "tidegate.plainService" -}}
type: {{ .type }}
{{- with .clusterIP }}
clusterIP: {{ . }}
{{- end }}
{{- with .clusterIPs }}
clusterIPs:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .externalIPs }}
externalIPs:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .loadBalancerIP }}
loadBalancerIP: {{ . }}
{{- end }}
{{- with .loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
