{{/* The operator's settings, and the variables of the values, which replace them: the API server rejects a name that is given twice. */}}
{{- define "runtime-operator.env" -}}
{{- $extra := list }}
{{- $names := list }}
{{- range .Values.extraEnv }}
{{- $variable := . }}
{{- if kindIs "invalid" .value }}
{{- $variable = omit . "value" }}
{{- else if not (kindIs "string" .value) }}
{{- $variable = set (deepCopy .) "value" (toJson .value) }}
{{- end }}
{{- $extra = append $extra $variable }}
{{- $names = append $names .name }}
{{- end }}
{{- $settings := list }}
{{- range include "runtime-operator.settings" . | fromYamlArray }}
{{- if not (has .name $names) }}{{ $settings = append $settings . }}{{ end }}
{{- end }}
{{- concat $settings $extra | toYaml }}
{{- end }}

{{- define "runtime-operator.settings" -}}
{{- $secret := include "runtime-operator.redisSecret" . | fromJson }}
{{- $adminTls := include "runtime-operator.adminTlsSecret" . }}
{{- $mounted := include "runtime-operator.redisFiles" . | fromJsonArray }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: REDIS_URL
  {{- if $secret.urlKey }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name | quote }}
      key: {{ $secret.urlKey | quote }}
  {{- else if .Values.redis.embedded.enabled }}
  value: "redis://{{ $secret.name }}:6379/0"
  {{- else }}
  value: {{ .Values.redis.url | quote }}
  {{- end }}
{{- range $mounted }}
- name: {{ get (dict "username" "REDIS_USERNAME_FILE" "password" "REDIS_PASSWORD_FILE" "ca.crt" "REDIS_CA_FILE" "tls.crt" "REDIS_CERT_FILE" "tls.key" "REDIS_KEY_FILE") .path | quote }}
  value: "/etc/runtime-operator/redis/{{ .path }}"
{{- end }}
{{- with .Values.redis.sentinel }}
{{- if .addresses }}
- name: REDIS_SENTINEL
  value: {{ join "," .addresses | quote }}
- name: REDIS_SENTINEL_SERVICE
  value: {{ .service | quote }}
{{- end }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.clusterId }}
- name: CLUSTER_ID
  value: {{ . | quote }}
{{- end }}
- name: LEADER_ELECT
  value: {{ .Values.leaderElection | quote }}
- name: LEASE_NAME
  value: {{ include "runtime-operator.leaseName" . | quote }}
- name: PUBLISH_WEBHOOK_SECRET
  value: {{ .Values.publishWebhookSecret | quote }}
- name: ADMIN_ADDR
  value: "{{ include "runtime-operator.bind" . }}:{{ .Values.admin.port }}"
- name: TELEMETRY_ADDR
  value: "{{ include "runtime-operator.bind" . }}:{{ .Values.telemetry.port }}"
- name: ENABLE_RUNTIME_ADMIN
  value: {{ .Values.admin.enabled | quote }}
- name: ALLOW_RUNTIME_SECRET_READ
  value: {{ .Values.admin.allowSecretRead | quote }}
{{- if .Values.admin.enabled }}
- name: RUNTIME_ADMIN_AUTH
  value: {{ .Values.admin.auth | quote }}
- name: RUNTIME_ADMIN_INSECURE
  value: {{ .Values.admin.insecure | quote }}
{{- with include "runtime-operator.adminKeySecret" . }}
- name: RUNTIME_ADMIN_KEY_FILE
  value: /etc/runtime-operator/admin-keys/keys
{{- end }}
{{- with .Values.admin.corsOrigins }}
- name: ADMIN_CORS_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- if $adminTls }}
- name: ADMIN_TLS_CERT_FILE
  value: /etc/runtime-operator/admin-tls/tls.crt
- name: ADMIN_TLS_KEY_FILE
  value: /etc/runtime-operator/admin-tls/tls.key
{{- end }}
{{- with .Values.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
- name: LOG_FORMAT
  value: {{ .Values.logFormat | quote }}
- name: RUST_LOG
  value: {{ .Values.logLevel | quote }}
{{- end }}
