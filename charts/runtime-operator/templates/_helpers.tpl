{{/* Names, at most 63 characters, with room for the longest suffix. */}}
{{- define "runtime-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "runtime-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of a cluster-wide object, unique among the releases of all namespaces. */}}
{{- define "runtime-operator.clusterName" -}}
{{- $name := include "runtime-operator.fullname" . }}
{{- if eq $name .Release.Namespace }}{{ $name }}{{ else }}{{ printf "%s-%s" .Release.Namespace $name }}{{ end }}
{{- end }}

{{- define "runtime-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "runtime-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "runtime-operator.priorityClassName" -}}
{{- if .Values.priorityClassName }}
{{- .Values.priorityClassName }}
{{- else if and .Values.priorityClass.create (include "runtime-operator.clusterWide" .) }}
{{- include "runtime-operator.clusterName" . }}
{{- end }}
{{- end }}

{{/* Not empty if the release may have cluster-wide objects. */}}
{{- define "runtime-operator.clusterWide" -}}
{{- if not .Values.watchNamespaces }}true{{ end }}
{{- end }}

{{/* Not empty if the API server reviews the tokens of the admin routes' clients. */}}
{{- define "runtime-operator.reviewsTokens" -}}
{{- if and .Values.admin.enabled (eq .Values.admin.auth "kubernetes") }}true{{ end }}
{{- end }}

{{/* Selectors are immutable, so they contain only labels that never change. Takes (dict "root" $ "component" "operator"). */}}
{{- define "runtime-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "runtime-operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "runtime-operator.componentLabels" -}}
{{ include "runtime-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: runtime-operator
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "runtime-operator.labels" -}}
{{ include "runtime-operator.componentLabels" (dict "root" . "component" "operator") }}
{{- end }}

{{/* Annotations of an object, or nothing. Takes (list $ map…). */}}
{{- define "runtime-operator.annotations" -}}
{{- $root := first . }}
{{- $all := deepCopy $root.Values.commonAnnotations }}
{{- range rest . }}{{ $all = merge (deepCopy .) $all }}{{ end }}
{{- with $all }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes (dict "root" $ "image" …). */}}
{{- define "runtime-operator.image" -}}
{{- $registry := default .image.registry (.root.Values.global).imageRegistry }}
{{- $reference := ternary (printf "@%s" .image.digest) (printf ":%s" (default .root.Chart.AppVersion .image.tag)) (ne .image.digest "") }}
{{- with $registry }}{{ . }}/{{ end }}{{ .image.repository }}{{ $reference }}
{{- end }}

{{- define "runtime-operator.pullSecrets" -}}
{{- with concat (default list (.Values.global).imagePullSecrets) .Values.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The projected token volume that the kubelet would mount by default: short-lived, and bound to this Pod. */}}
{{- define "runtime-operator.tokenVolume" -}}
- name: kubernetes
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}

{{- define "runtime-operator.tokenMount" -}}
- name: kubernetes
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}

{{/* The Secret with the admin routes' certificate, or nothing. */}}
{{- define "runtime-operator.adminTlsSecret" -}}
{{- if .Values.admin.tls.secretName }}
{{- .Values.admin.tls.secretName }}
{{- else if .Values.admin.tls.certManager.enabled }}
{{- include "runtime-operator.fullname" . }}-admin-tls
{{- end }}
{{- end }}

{{/* The Secret with the connection data of Redis, and its keys; the embedded Redis has its own. */}}
{{- define "runtime-operator.redisSecret" -}}
{{- if .Values.redis.embedded.enabled }}
{{- dict "name" (printf "%s-redis" (include "runtime-operator.fullname" .)) "urlKey" "" "usernameKey" "" "passwordKey" "password" "caKey" "" "certKey" "" "keyKey" "" | toJson }}
{{- else }}
{{- .Values.redis.existingSecret | toJson }}
{{- end }}
{{- end }}

{{/* The RBAC rules for tenants, in each watched namespace or in the whole cluster. */}}
{{- define "runtime-operator.tenantRules" -}}
- apiGroups: [runtime.veralux.io]
  resources: [runtimetenants]
  verbs: [get, list, watch, patch]
- apiGroups: [runtime.veralux.io]
  resources: [runtimetenants/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Rejects values that can't work before anything is installed. */}}
{{- define "runtime-operator.validate" -}}
{{- $redis := .Values.redis }}
{{- $given := 0 }}
{{- if $redis.url }}{{ $given = add1 $given }}{{ end }}
{{- if $redis.existingSecret.urlKey }}{{ $given = add1 $given }}{{ end }}
{{- if $redis.embedded.enabled }}{{ $given = add1 $given }}{{ end }}
{{- if ne (int $given) 1 }}
{{- fail "redis: give exactly one of redis.url, redis.existingSecret.urlKey (with its name) and, for a trial, redis.embedded.enabled" }}
{{- end }}
{{- range $key, $value := omit $redis.existingSecret "name" }}
{{- if and $value (not $redis.existingSecret.name) }}
{{- fail (printf "redis.existingSecret.name must be given with redis.existingSecret.%s" $key) }}
{{- end }}
{{- if and $value $redis.embedded.enabled }}
{{- fail "redis.existingSecret is not for redis.embedded" }}
{{- end }}
{{- end }}
{{- if ne (empty $redis.existingSecret.certKey) (empty $redis.existingSecret.keyKey) }}
{{- fail "redis.existingSecret.certKey and keyKey must be given together" }}
{{- end }}
{{- if ne (empty $redis.sentinel.addresses) (empty $redis.sentinel.service) }}
{{- fail "redis.sentinel.addresses and service must be given together" }}
{{- end }}
{{- if and .Values.watchNamespaces (not .Values.clusterId) }}
{{- fail "clusterId must be given with watchNamespaces: without a ClusterRole the namespace kube-system can't be read" }}
{{- end }}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection) }}
{{- fail "leaderElection must be true where there is more than one replica" }}
{{- end }}
{{- if and .Values.admin.enabled (eq .Values.admin.auth "none") (not .Values.admin.insecure) }}
{{- fail "admin.auth none lets anyone publish who reaches the port: set admin.insecure too, or use kubernetes" }}
{{- end }}
{{- if and .Values.admin.tls.certManager.enabled (not .Values.admin.tls.certManager.issuerRef.name) }}
{{- fail "admin.tls.certManager.issuerRef.name must be given with admin.tls.certManager.enabled" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs must be given with httpRoute.enabled" }}
{{- end }}
{{- end }}
