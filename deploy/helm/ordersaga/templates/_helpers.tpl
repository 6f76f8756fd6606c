{{- define "ordersaga.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains "ordersaga" .Release.Name | ternary .Release.Name (printf "%s-ordersaga" .Release.Name)) -}}
{{- /* Names of objects that end with a role have at most 63 characters. */ -}}
{{- $name | trunc 43 | trimSuffix "-" -}}
{{- end }}

{{- define "ordersaga.selector" -}}
app.kubernetes.io/name: ordersaga
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ordersaga.labels" -}}
{{ include "ordersaga.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.image.tag }}
app.kubernetes.io/version: {{ . | trunc 63 | trimSuffix "." | trimSuffix "-" | trimSuffix "_" | quote }}
{{- end }}
{{- end }}

{{- /* The role whose pods serve the API. */ -}}
{{- define "ordersaga.apiRole" -}}
{{ eq .Values.mode "serve" | ternary "serve" "api" }}
{{- end }}

{{- /* The deployments: name and role. */ -}}
{{- define "ordersaga.deployments" -}}
{{- if eq .Values.mode "serve" }}
serve: serve
{{- else }}
api: api
worker: worker
consumer: consumer
{{- end }}
{{- range $name, $values := .Values.extraWorkers }}
{{ $name }}: worker
{{- end }}
{{- if .Values.codecServer.enabled }}
codec-server: codec-server
{{- end }}
{{- end }}

{{- /* The roles that serve HTTP requests of clients. */ -}}
{{- define "ordersaga.serves" -}}
{{ has . (list "api" "serve" "codec-server") | ternary "true" "" }}
{{- end }}

{{- define "ordersaga.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "ordersaga.hosts" -}}
{{- $name := include "ordersaga.fullname" . -}}
{{- $svc := printf "%s.%s.svc" $name .Release.Namespace -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) $svc (printf "%s.%s" $svc .Values.clusterDomain) -}}
{{- if .Values.ingress.enabled }}{{ $hosts = append $hosts .Values.ingress.host }}{{ end -}}
{{- if .Values.codecServer.enabled -}}
{{- $svc := printf "%s-codec.%s.svc" $name .Release.Namespace -}}
{{- $hosts = concat $hosts (list (printf "%s-codec" $name) (printf "%s-codec.%s" $name .Release.Namespace) $svc (printf "%s.%s" $svc .Values.clusterDomain)) -}}
{{- if .Values.ingress.enabled }}{{ with .Values.codecServer.host }}{{ $hosts = append $hosts . }}{{ end }}{{ end -}}
{{- end -}}
{{ concat $hosts .Values.hosts | uniq | join "," }}
{{- end }}

{{- /* The environment of a process. Arguments: root, role, config. */ -}}
{{- define "ordersaga.env" -}}
{{- $v := .root.Values -}}
{{- $env := dict "HTTP_ADDR" "0.0.0.0:8080" "METRICS_ADDR" "0.0.0.0:9090" "LOG_FORMAT" "json" "SHUTDOWN_GRACE" (printf "%ds" (int $v.shutdown.graceSeconds)) -}}
{{- if include "ordersaga.serves" .role -}}
{{- $_ := set $env "API_AUTH" $v.auth.mode -}}
{{- $_ := set $env "HTTP_HOSTS" (include "ordersaga.hosts" .root) -}}
{{- $_ := set $env "SHUTDOWN_DELAY" (printf "%ds" (int $v.shutdown.delaySeconds)) -}}
{{- if contains "oidc" $v.auth.mode -}}
{{- range $name, $value := dict "OIDC_ISSUER" $v.auth.issuer "OIDC_AUDIENCE" $v.auth.audience "OIDC_SCOPES_CLAIM" $v.auth.scopesClaim "OIDC_CUSTOMER_CLAIM" $v.auth.customerClaim -}}
{{- if $value }}{{ $_ := set $env $name $value }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $v.tls.existingSecret -}}
{{- $_ := set $env "HTTP_TLS_CERT_FILE" "/etc/ordersaga/tls/tls.crt" -}}
{{- $_ := set $env "HTTP_TLS_KEY_FILE" "/etc/ordersaga/tls/tls.key" -}}
{{- end -}}
{{- end -}}
{{- range $name, $key := $v.secrets.variables -}}
{{- $_ := set $env (printf "%s_FILE" $name) (printf "/etc/ordersaga/secrets/%s" $name) -}}
{{- end -}}
{{- range $name, $value := mergeOverwrite $env (deepCopy $v.config) .config }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- /* The template of a pod. Arguments: root, name, role, config, resources. */ -}}
{{- define "ordersaga.pod" -}}
{{- $root := .root -}}
{{- $v := .root.Values -}}
{{- $serves := not (empty (include "ordersaga.serves" .role)) -}}
{{- $tls := and $serves (not (empty $v.tls.existingSecret)) -}}
metadata:
  labels:
    {{- include "ordersaga.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
    {{- with $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $v.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if eq .role "migrate" }}
  restartPolicy: Never
  {{- else }}
  # Longer than SHUTDOWN_DELAY and SHUTDOWN_GRACE, so that a stop is not a kill.
  terminationGracePeriodSeconds: {{ add (ternary $v.shutdown.delaySeconds 0 $serves) $v.shutdown.graceSeconds 10 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: ordersaga
      image: {{ include "ordersaga.image" $root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args: [{{ .role }}]
      env:
        {{- include "ordersaga.env" (dict "root" $root "role" .role "config" .config) | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources:
        {{- toYaml .resources | nindent 8 }}
      {{- if ne .role "migrate" }}
      ports:
        - {name: http, containerPort: 8080}
        - {name: metrics, containerPort: 9090}
      # A process responds at once, and becomes ready when its servers do: there is no startup probe.
      livenessProbe:
        httpGet: {path: /livez, port: http, scheme: {{ $tls | ternary "HTTPS" "HTTP" }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http, scheme: {{ $tls | ternary "HTTPS" "HTTP" }}}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- end }}
      volumeMounts:
        - {name: secrets, mountPath: /etc/ordersaga/secrets, readOnly: true}
        {{- if $tls }}
        - {name: tls, mountPath: /etc/ordersaga/tls, readOnly: true}
        {{- end }}
        {{- range $v.mounts }}
        - {name: {{ printf "mount-%s" .name }}, mountPath: {{ .path | quote }}, readOnly: true}
        {{- end }}
  volumes:
    - name: secrets
      secret:
        secretName: {{ $v.secrets.existingSecret }}
        defaultMode: 0440
        items:
          {{- range $name, $key := $v.secrets.variables }}
          - {key: {{ $key | quote }}, path: {{ $name }}}
          {{- end }}
    {{- if $tls }}
    - name: tls
      secret: {secretName: {{ $v.tls.existingSecret }}, defaultMode: 0440}
    {{- end }}
    {{- range $v.mounts }}
    - name: {{ printf "mount-%s" .name }}
      {{- if hasKey . "secret" }}
      secret: {secretName: {{ .secret }}, defaultMode: 0440}
      {{- else }}
      configMap: {name: {{ .configMap }}}
      {{- end }}
    {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and $v.topologySpread.enabled (ne .role "migrate") }}
  topologySpreadConstraints:
    {{- range $v.topologySpread.topologyKeys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $v.topologySpread.whenUnsatisfiable }}
      # Old and new pods of a rollout are counted apart.
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "ordersaga.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.name }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "ordersaga.validate" -}}
{{- with .Values -}}
{{- if not .image.repository }}{{ fail "image.repository is required: the name of the image" }}{{ end -}}
{{- if not (or .image.tag .image.digest) }}{{ fail "image.tag or image.digest is required" }}{{ end -}}
{{- if not .auth.mode }}{{ fail "auth.mode is required: keys, oidc or keys,oidc; insecure lets everyone who reaches the API do everything" }}{{ end -}}
{{- if contains "oidc" .auth.mode -}}
{{- if not .auth.issuer }}{{ fail "auth.issuer is required with auth.mode oidc" }}{{ end -}}
{{- if not .auth.audience }}{{ fail "auth.audience is required with auth.mode oidc" }}{{ end -}}
{{- end -}}
{{- if not .secrets.existingSecret }}{{ fail "secrets.existingSecret is required: the name of a Secret with the keys of secrets.variables" }}{{ end -}}
{{- range list "MONGODB_URI" "AMQP_URL" -}}
{{- if not (get $.Values.secrets.variables .) }}{{ fail (printf "secrets.variables.%s is required: a key of the Secret" .) }}{{ end -}}
{{- end -}}
{{- if not (get .config "TEMPORAL_ADDRESS") }}{{ fail "config.TEMPORAL_ADDRESS is required: host:port of the Temporal frontend" }}{{ end -}}
{{- if not (get .config "PAYMENT_GATEWAY") }}{{ fail "config.PAYMENT_GATEWAY is required; simulator moves no real money" }}{{ end -}}
{{- if and .codecServer.enabled (not (get .secrets.variables "PAYLOAD_KEYS")) }}{{ fail "secrets.variables.PAYLOAD_KEYS is required with codecServer.enabled: the key of the Secret with the payload keys" }}{{ end -}}
{{- if and .ingress.enabled (not .ingress.host) }}{{ fail "ingress.host is required with ingress.enabled" }}{{ end -}}
{{- end -}}
{{- end }}
