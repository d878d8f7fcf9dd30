{{/* The pod of the Deployment or DaemonSet. */}}
{{- define "tidegate.args" -}}
{{- $c := .Values.controller -}}
{{- $namespace := include "tidegate.namespace" . -}}
- run
{{- if $c.settings }}
- --config=/etc/tidegate/gateway.yaml
{{- end }}
- --http-port={{ include "tidegate.httpPort" . }}
- --https-port={{ include "tidegate.httpsPort" . }}
- --healthz-port={{ $c.metrics.port }}
{{- with $c.healthCheckHost }}
- --healthz-host={{ . }}
{{- end }}
{{- if ne $c.healthCheckPath "/healthz" }}
- --health-check-path={{ $c.healthCheckPath }}
{{- end }}
- --controller-class={{ $c.ingressClassResource.controllerValue }}
- --ingress-class={{ default $c.ingressClassResource.name $c.ingressClass }}
{{- if $c.ingressClassByName }}
- --ingress-class-by-name
{{- end }}
{{- if $c.watchIngressWithoutClass }}
- --watch-ingress-without-class
{{- end }}
{{- if $c.enableTopologyAwareRouting }}
- --enable-topology-aware-routing
{{- end }}
- --configmap={{ $namespace }}/{{ include "tidegate.controller" . }}
{{- if .Values.tcp }}
- --tcp-services-configmap={{ $namespace }}/{{ include "tidegate.fullname" . }}-tcp
{{- end }}
{{- if .Values.udp }}
- --udp-services-configmap={{ $namespace }}/{{ include "tidegate.fullname" . }}-udp
{{- end }}
{{- if .Values.defaultBackend.enabled }}
- --default-backend-service={{ $namespace }}/{{ include "tidegate.backend" . }}
{{- end }}
{{- with include "tidegate.publishService" . }}
- --publish-service={{ . }}
{{- end }}
{{- if $c.reportNodeInternalIp }}
- --report-node-internal-ip-address
{{- end }}
{{- if $c.disableLeaderElection }}
- --disable-leader-election
{{- else }}
- --election-id={{ include "tidegate.lease" . }}
{{- with $c.electionTTL }}
- --election-ttl={{ . }}
{{- end }}
{{- end }}
{{- with include "tidegate.scopedNamespace" . }}
- --watch-namespace={{ . }}
{{- end }}
{{- if and $c.scope.enabled $c.scope.namespaceSelector }}
- --watch-namespace-selector={{ $c.scope.namespaceSelector }}
{{- end }}
{{- if $c.admissionWebhooks.enabled }}
- --validating-webhook=:{{ $c.admissionWebhooks.port }}
{{- if include "tidegate.webhookKept" . }}
- --validating-webhook-secret={{ include "tidegate.namespace" . }}/{{ include "tidegate.webhookSecret" . }}
- --validating-webhook-configuration={{ include "tidegate.webhook" . }}
{{- else }}
- --validating-webhook-certificate={{ $c.admissionWebhooks.certificate }}
- --validating-webhook-key={{ $c.admissionWebhooks.key }}
{{- end }}
{{- end }}
- --shutdown-grace-period={{ $c.shutdownGracePeriod }}
{{- /* The program's own limit is 240 s; it must end before the kubelet ends it. */}}
{{- $grace := sub (sub $c.terminationGracePeriodSeconds $c.shutdownGracePeriod) 5 }}
{{- if lt $grace 240 }}
- --shutdown-grace={{ max 1 $grace }}s
{{- end }}
{{- range $name, $value := $c.extraArgs }}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") }}
- --{{ $name }}
{{- else }}
- --{{ $name }}={{ $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tidegate.containerSecurityContext" -}}
{{- $c := .Values.controller -}}
{{- if $c.containerSecurityContext -}}
{{- toYaml $c.containerSecurityContext -}}
{{- else -}}
{{- $root := not (empty (include "tidegate.privilegedPorts" .)) -}}
allowPrivilegeEscalation: {{ $c.image.allowPrivilegeEscalation }}
capabilities:
  drop:
    - ALL
  {{- if $root }}
  add:
    - NET_BIND_SERVICE
  {{- end }}
readOnlyRootFilesystem: {{ $c.image.readOnlyRootFilesystem }}
runAsGroup: {{ $c.image.runAsGroup }}
runAsNonRoot: {{ kindIs "invalid" $c.image.runAsNonRoot | ternary (not $root) $c.image.runAsNonRoot }}
runAsUser: {{ kindIs "invalid" $c.image.runAsUser | ternary (ternary 0 65532 $root) $c.image.runAsUser }}
seccompProfile:
  {{- toYaml $c.image.seccompProfile | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "tidegate.containerPorts" -}}
{{- $c := .Values.controller -}}
- name: http
  containerPort: {{ include "tidegate.httpPort" . }}
  protocol: TCP
  {{- if $c.hostPort.enabled }}
  hostPort: {{ $c.hostPort.ports.http }}
  {{- end }}
- name: https
  containerPort: {{ include "tidegate.httpsPort" . }}
  protocol: TCP
  {{- if $c.hostPort.enabled }}
  hostPort: {{ $c.hostPort.ports.https }}
  {{- end }}
- name: {{ $c.metrics.portName }}
  containerPort: {{ $c.metrics.port }}
  protocol: TCP
{{- if $c.admissionWebhooks.enabled }}
- name: webhook
  containerPort: {{ $c.admissionWebhooks.port }}
  protocol: TCP
{{- end }}
{{- range $protocol, $map := dict "tcp" .Values.tcp "udp" .Values.udp }}
{{- range $port, $_ := $map }}
- name: {{ include "tidegate.streamPort" (dict "root" $ "port" $port "protocol" $protocol) }}
  containerPort: {{ $port }}
  protocol: {{ upper $protocol }}
  {{- if $c.hostPort.enabled }}
  hostPort: {{ $port }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tidegate.volumes" -}}
{{- $c := .Values.controller -}}
{{- if $c.settings }}
- name: settings
  configMap:
    name: {{ include "tidegate.controller" . }}-settings
{{- end }}
{{- if and $c.admissionWebhooks.enabled (not (include "tidegate.webhookKept" .)) }}
- name: webhook-certificate
  secret:
    secretName: {{ include "tidegate.webhookSecret" . }}
    {{- if $c.admissionWebhooks.certManager.enabled }}
    items:
      - key: tls.crt
        path: cert
      - key: tls.key
        path: key
    {{- end }}
{{- end }}
{{- with $c.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.volumeMounts" -}}
{{- $c := .Values.controller -}}
{{- if $c.settings }}
- name: settings
  mountPath: /etc/tidegate
  readOnly: true
{{- end }}
{{- if and $c.admissionWebhooks.enabled (not (include "tidegate.webhookKept" .)) }}
- name: webhook-certificate
  mountPath: {{ dir $c.admissionWebhooks.certificate }}
  readOnly: true
{{- end }}
{{- with $c.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.spread" -}}
{{- $labels := include "tidegate.controllerSelector" . | fromYaml -}}
{{- range .Values.controller.topologySpreadConstraints }}
- {{ toYaml (hasKey . "labelSelector" | ternary . (merge (dict "labelSelector" (dict "matchLabels" $labels)) .)) | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{- define "tidegate.pod" -}}
{{- $c := .Values.controller -}}
metadata:
  labels:
    {{- /* No versions: replicas find each other by these, also in an upgrade. */}}
    {{- include "tidegate.controllerSelector" . | nindent 4 }}
    {{- with .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $c.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or $c.podAnnotations $c.settings }}
  annotations:
    {{- if $c.settings }}
    checksum/settings: {{ toYaml $c.settings | sha256sum }}
    {{- end }}
    {{- with $c.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "tidegate.serviceAccount" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  terminationGracePeriodSeconds: {{ $c.terminationGracePeriodSeconds }}
  dnsPolicy: {{ and $c.hostNetwork (eq $c.dnsPolicy "ClusterFirst") | ternary "ClusterFirstWithHostNet" $c.dnsPolicy }}
  {{- with $c.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.hostname }}
  hostname: {{ . }}
  {{- end }}
  {{- with $c.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $c.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- if $c.shareProcessNamespace }}
  shareProcessNamespace: true
  {{- end }}
  {{- with $c.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $c.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- if or $c.podSecurityContext $c.sysctls }}
  securityContext:
    {{- with $c.podSecurityContext }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $c.sysctls }}
    sysctls:
      {{- range $name, $value := . }}
      - name: {{ $name }}
        value: {{ $value | quote }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- with $c.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $c.containerName }}
      image: {{ include "tidegate.image" (dict "root" . "image" $c.image) }}
      imagePullPolicy: {{ $c.image.pullPolicy }}
      args:
        {{- include "tidegate.args" . | nindent 8 }}
      env:
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        {{- with $c.extraEnvs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- include "tidegate.containerPorts" . | nindent 8 }}
      securityContext:
        {{- include "tidegate.containerSecurityContext" . | nindent 8 }}
      {{- with $c.startupProbe }}
      startupProbe:
        {{- tpl (toYaml .) $ | nindent 8 }}
      {{- end }}
      {{- with $c.livenessProbe }}
      livenessProbe:
        {{- tpl (toYaml .) $ | nindent 8 }}
      {{- end }}
      {{- with $c.readinessProbe }}
      readinessProbe:
        {{- tpl (toYaml .) $ | nindent 8 }}
      {{- end }}
      {{- if and $c.lifecycle (not (include "tidegate.foreignPreStop" .)) }}
      lifecycle:
        {{- toYaml $c.lifecycle | nindent 8 }}
      {{- end }}
      {{- with $c.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $c.resizePolicy }}
      resizePolicy:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "tidegate.volumeMounts" . | trim }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
    {{- with $c.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "tidegate.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $c.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.affinity }}
  affinity:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  {{- if $c.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- include "tidegate.spread" . | trim | nindent 4 }}
  {{- end }}
{{- end -}}
