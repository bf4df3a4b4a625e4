{{/* Sets the values that are missing, because a section or a value is null or because `helm upgrade --reuse-values` has kept the
values of a chart without them. Each template begins with it, since Helm promises no order. */}}
{{- define "runtime-operator.complete" -}}
{{- include "runtime-operator.setMissing" (list .Values (include "runtime-operator.defaults" . | fromJson)) }}
{{- end }}

{{/* Takes (list values defaults). */}}
{{- define "runtime-operator.setMissing" -}}
{{- $values := first . }}
{{- range $name, $default := last . }}
{{- $value := index $values $name }}
{{- if kindIs "invalid" $value }}
{{- $_ := set $values $name $default }}
{{- else if and (kindIs "map" $value) (kindIs "map" $default) }}
{{- include "runtime-operator.setMissing" (list $value $default) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The value of a label. At most 40 characters, since it is part of names. */}}
{{- define "runtime-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimAll "-._" }}
{{- end }}

{{/* A name as a Service must have: at most 63 characters, with room for the longest suffix. */}}
{{- define "runtime-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride }}
{{- $full = regexReplaceAll "[^a-z0-9-]+" (lower $full) "-" | trimPrefix "-" }}
{{- if regexMatch "^[0-9]" $full }}{{ $full = print "r" $full }}{{ end }}
{{- $full | trunc 40 | trimAll "-" }}
{{- end }}

{{/* The Lease for which the replicas compete. */}}
{{- define "runtime-operator.leaseName" -}}
{{- default "runtime-operator" .Values.leaseName -}}
{{- end -}}

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

{{/* Not empty if the release has the CRD. */}}
{{- define "runtime-operator.crd" -}}
{{- if and .Values.crds.enabled (ne (toJson .Values.crds.install) "false") }}true{{ end }}
{{- end }}

{{/* The namespaces whose claims are checked, as a label selector. The release's own is left out for `helm test`. */}}
{{- define "runtime-operator.claimsSelector" -}}
{{- if .Values.claimsPolicy.namespaceSelector }}
{{- toYaml .Values.claimsPolicy.namespaceSelector }}
{{- else }}
matchExpressions:
  {{- if .Values.watchNamespaces }}
  - { key: kubernetes.io/metadata.name, operator: In, values: {{ uniq .Values.watchNamespaces | toJson }} }
  {{- end }}
  - { key: kubernetes.io/metadata.name, operator: NotIn, values: [{{ .Release.Namespace | quote }}] }
{{- end }}
{{- end }}

{{/* Not empty if the API server reviews the tokens of the admin routes' clients. */}}
{{- define "runtime-operator.reviewsTokens" -}}
{{- if and .Values.admin.enabled (eq .Values.admin.auth "kubernetes") }}true{{ end }}
{{- end }}

{{/* Members of a map of texts. A number or a boolean becomes text, and null removes the member. */}}
{{- define "runtime-operator.texts" -}}
{{- range $name, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ $name | quote }}: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Selectors are immutable, so they contain only labels that never change. Takes (dict "root" $ "component" "operator"). */}}
{{- define "runtime-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "runtime-operator.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{/* Labels of an object. Those of the values replace the chart's own, except those that select Pods or by which Helm knows its
objects. Takes (dict "root" $ "component" "operator"), with "labels" (list map…) and, for a Pod, "pod" true: a Pod's labels contain
no version, since each change restarts it. */}}
{{- define "runtime-operator.componentLabels" -}}
{{- $root := .root }}
{{- $labels := dict "app.kubernetes.io/part-of" "runtime-operator" }}
{{- if not .pod }}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimAll "-._" }}
{{- $labels = merge $labels (dict "app.kubernetes.io/version" $root.Chart.AppVersion "helm.sh/chart" $chart) }}
{{- end }}
{{- range prepend (default list .labels) $root.Values.commonLabels }}
{{- range $name, $value := . }}{{ $_ := set $labels $name $value }}{{ end }}
{{- end }}
{{- $fixed := include "runtime-operator.selectorLabels" . | fromYaml }}
{{- range $name, $value := set $fixed "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $_ := set $labels $name $value }}
{{- end }}
{{- include "runtime-operator.texts" $labels | trim }}
{{- end }}

{{- define "runtime-operator.labels" -}}
{{ include "runtime-operator.componentLabels" (dict "root" . "component" "operator") }}
{{- end }}

{{/* The operator's labels with those of the values. Takes (list $ map…). */}}
{{- define "runtime-operator.labelsWith" -}}
{{ include "runtime-operator.componentLabels" (dict "root" (first .) "component" "operator" "labels" (rest .)) }}
{{- end }}

{{/* Annotations of an object, or nothing; a later map replaces members of an earlier one. Takes (list $ map…). */}}
{{- define "runtime-operator.annotations" -}}
{{- $all := dict }}
{{- range prepend (rest .) (first .).Values.commonAnnotations }}
{{- range $name, $value := . }}{{ $_ := set $all $name $value }}{{ end }}
{{- end }}
{{- with include "runtime-operator.texts" $all | trim }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A map without the members that are null, nor maps that have nothing else. */}}
{{- define "runtime-operator.withoutNull" -}}
{{- $kept := dict }}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
{{- with include "runtime-operator.withoutNull" $value | fromYaml }}{{ $_ := set $kept $name . }}{{ end }}
{{- else if not (kindIs "invalid" $value) }}
{{- $_ := set $kept $name $value }}
{{- end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}

{{/* A security context, without the users and groups that OpenShift chooses for each namespace. Takes (list $ context). */}}
{{- define "runtime-operator.securityContext" -}}
{{- $root := first . }}
{{- $context := last . }}
{{- $mode := (($root.Values.global.compatibility).openshift).adaptSecurityContext }}
{{- if or (eq $mode "force") (and (eq $mode "auto") ($root.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}
{{- end }}
{{- include "runtime-operator.withoutNull" $context }}
{{- end }}

{{/* The port of a URL, or that of its scheme. Takes a URL, or `host:port`. */}}
{{- define "runtime-operator.port" -}}
{{- $schemes := dict "http" "80" "https" "443" "redis" "6379" "rediss" "6379" }}
{{- $scheme := regexFind "^[a-z]+://" . | trimSuffix "://" }}
{{- $authority := regexReplaceAll "^[a-z]+://" . "" }}
{{- $authority = regexFind "^[^/?#]*" $authority }}
{{- default (get $schemes $scheme) (regexFind ":[0-9]+$" $authority | trimPrefix ":") }}
{{- end }}

{{/* The ports of Redis and its Sentinels, as JSON. */}}
{{- define "runtime-operator.redisPorts" -}}
{{- $redis := .Values.redis }}
{{- $ports := list }}
{{- range .Values.networkPolicy.redisPorts }}{{ $ports = append $ports (int .) }}{{ end }}
{{- $given := $ports }}
{{- range $redis.sentinel.addresses }}{{ $ports = append $ports (include "runtime-operator.port" . | int) }}{{ end }}
{{- if and $redis.url (not $redis.sentinel.addresses) }}
{{- $ports = append $ports (include "runtime-operator.port" $redis.url | int) }}
{{- else if not $given }}
{{- $ports = append $ports 6379 }}
{{- end }}
{{- uniq $ports | toJson }}
{{- end }}

{{/* An address to bind. */}}
{{- define "runtime-operator.bind" -}}
{{- $host := .Values.bindAddress }}
{{- if and (contains ":" $host) (not (hasPrefix "[" $host)) }}{{ printf "[%s]" $host }}{{ else }}{{ $host }}{{ end }}
{{- end }}

{{/* Takes (dict "root" $ "image" …). */}}
{{- define "runtime-operator.image" -}}
{{- $registry := default .image.registry (.root.Values.global).imageRegistry }}
{{- $reference := ternary (printf "@%s" .image.digest) (printf ":%s" (default .root.Chart.AppVersion .image.tag)) (ne .image.digest "") }}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .image.repository }}{{ $reference }}
{{- end }}

{{- define "runtime-operator.pullSecrets" -}}
{{- $names := list }}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets }}
{{- if kindIs "string" . }}{{ $names = append $names . }}{{ else }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- with uniq $names }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The projected token volume that the kubelet would mount by default: short-lived, and bound to this Pod. */}}
{{- define "runtime-operator.tokenVolume" -}}
- name: kubernetes
  projected:
    defaultMode: 292 # 0444, which YAML 1.2 would read as decimal
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

{{/* The Secret with the keys of the admin routes' clients, or nothing. */}}
{{- define "runtime-operator.adminKeySecret" -}}
{{- if and .Values.admin.enabled (eq .Values.admin.auth "key") }}{{ .Values.admin.keySecret.name }}{{ end }}
{{- end }}

{{/* The Secret with the connection data of Redis, and its keys; the embedded Redis has its own. */}}
{{- define "runtime-operator.redisSecret" -}}
{{- if .Values.redis.embedded.enabled }}
{{- dict "name" (printf "%s-redis" (include "runtime-operator.fullname" .)) "urlKey" "" "usernameKey" "" "passwordKey" "password" "caKey" "" "certKey" "" "keyKey" "" | toJson }}
{{- else }}
{{- .Values.redis.existingSecret | toJson }}
{{- end }}
{{- end }}

{{/* The keys of Redis' Secret that are files, as JSON: each {key, path}. */}}
{{- define "runtime-operator.redisFiles" -}}
{{- $secret := include "runtime-operator.redisSecret" . | fromJson }}
{{- $files := list }}
{{- range $key, $file := dict "usernameKey" "username" "passwordKey" "password" "caKey" "ca.crt" "certKey" "tls.crt" "keyKey" "tls.key" }}
{{- with get $secret $key }}{{ $files = append $files (dict "key" . "path" $file) }}{{ end }}
{{- end }}
{{- $files | toJson }}
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
{{- if and .Values.admin.enabled (eq .Values.admin.auth "key") }}
{{- if not .Values.admin.keySecret.name }}
{{- fail "admin.keySecret.name must be given with admin.auth key" }}
{{- end }}
{{- if not (or .Values.admin.insecure (include "runtime-operator.adminTlsSecret" .)) }}
{{- fail "admin.auth key needs admin.tls, or admin.insecure: without TLS the keys cross the network in clear text" }}
{{- end }}
{{- end }}
{{- if and .Values.admin.tls.certManager.enabled (not .Values.admin.tls.certManager.issuerRef.name) }}
{{- fail "admin.tls.certManager.issuerRef.name must be given with admin.tls.certManager.enabled" }}
{{- end }}
{{- if eq (int .Values.admin.port) (int .Values.telemetry.port) }}
{{- fail (printf "admin.port and telemetry.port are both %d: give each a port of its own" (int .Values.admin.port)) }}
{{- end }}
{{- if eq (int .Values.service.adminPort) (int .Values.service.telemetryPort) }}
{{- fail (printf "service.adminPort and service.telemetryPort are both %d: give each a port of its own" (int .Values.service.adminPort)) }}
{{- end }}
{{- range $path, $urls := dict "redis.url" (list $redis.url) "redis.sentinel.addresses" $redis.sentinel.addresses "telemetry.otlpEndpoint" (list .Values.telemetry.otlpEndpoint) }}
{{- range $urls }}
{{- if gt (include "runtime-operator.port" . | int) 65535 }}
{{- fail (printf "%s: the port of %s is above 65535" $path .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .Values.dnsPolicy "None") (not (default dict .Values.dnsConfig).nameservers) }}
{{- fail "dnsConfig.nameservers must be given with dnsPolicy None" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs must be given with httpRoute.enabled" }}
{{- end }}
{{- end }}
