#!/usr/bin/env bash
# Shows the operator at work: a local Kubernetes API server and a Redis, the examples applied with plain kubectl, and the
# resulting keys in Redis. Each step prints the command that it runs, and checks the outcome: the first wrong one ends the
# demo with status 1.
#   KEEP=1  keeps everything running after the tour, until Ctrl-C
#   BIN=…   uses runtime-operator and local-cluster from this folder, instead of building them
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else bold='' green='' red='' plain=''; fi
began=$EPOCHREALTIME
title="the start"
scratch='' operator='' cluster='' log=''

# ---- printing and checking

say() { printf '%s\n' "$*"; }
step() { title=$1 && printf '\n%s== %s%s\n' "$bold" "$title" "$plain"; }
ok() { printf '   %sok%s: %s\n' "$green" "$plain" "$*"; }
typed() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
# Configs are shown without their webhook secret.
shown() { sed -E 's/("webhookSecret":")[^"]*"/\1***"/g; s/^/  /' <<<"$output"; }
ms_since() { printf '%d' $(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000)); }

fail() {
  printf '\n%sdemo: FAILED at "%s": %s%s\n' "$red" "$title" "$*" "$plain" >&2
  if [ -s "$log" ]; then
    say "the operator's log ends with:" >&2
    tail -n 15 "$log" >&2
  fi
  exit 1
}

# run COMMAND: prints the command and its output; the command must succeed. Sets $output.
run() {
  typed "$1"
  output=$(eval "$1" 2>&1) || { shown && fail "the command failed"; }
  shown
}

# findings COMMAND: like run, for a command that ends with 1 since it has something to report.
findings() {
  local status=0
  typed "$1"
  output=$(eval "$1" 2>&1) || status=$?
  shown
  [ "$status" = 1 ] || fail "the command ended with $status, expected 1"
}

# expect TEXT WHAT: checks that $output contains TEXT, which proves WHAT.
expect() {
  [[ $output == *"$1"* ]] || fail "$2, expected \"$1\""
  ok "$2"
}

# await TEXT WHAT COMMAND: prints the command once, and runs it until its output contains TEXT.
await() {
  local wanted=$1 what=$2 command=$3 since=$EPOCHREALTIME
  typed "$command"
  until output=$(eval "$command" 2>&1) && [[ $output == *"$wanted"* ]]; do
    [ "$(ms_since "$since")" -lt 60000 ] || { shown && fail "not within 60 s: $what, expected \"$wanted\""; }
    sleep 0.02
  done
  shown
  ok "$what (seen after $(ms_since "$since") ms)"
}

# ---- starting and stopping

# background STDOUT-FILE STDERR-FILE COMMAND...: starts the command in the background ($!), in a process group of its own, so
# that Ctrl-C reaches this script alone; the kernel ends the command if this script is killed.
background() {
  local out=$1 err=$2
  shift 2
  set -m
  setpriv --pdeathsig TERM -- "$@" >"$out" 2>"$err" </dev/null &
  set +m
}

# stop PID: sends SIGTERM, and SIGKILL after 15 s. Sets $stopped to the exit status.
stop() {
  local since=$EPOCHREALTIME
  kill -TERM "$1" 2>/dev/null || true
  while kill -0 "$1" 2>/dev/null && [ "$(ms_since "$since")" -lt 15000 ]; do sleep 0.02; done
  kill -KILL "$1" 2>/dev/null || true
  stopped=0
  wait "$1" || stopped=$?
}

# shellcheck disable=SC2317  # called by the trap
clean() {
  local status=$? folder since=$EPOCHREALTIME
  trap '' INT TERM HUP
  [ -z "$operator" ] || stop "$operator"
  if [ -n "$cluster" ]; then
    stop "$cluster"
    # The cluster removes its folders after it has ended.
    folder=${KUBECONFIG:+$(dirname "$(dirname "$KUBECONFIG")")}
    while [ -e "${folder:-}" ] && [ "$(ms_since "$since")" -lt 15000 ]; do sleep 0.02; done
  fi
  [ -z "$scratch" ] || rm -rf "$scratch"
  exit "$status"
}
trap clean EXIT
# shellcheck disable=SC2154  # set in the trap
interrupted() { say && say "interrupted: stopping ..." && exit "$1"; }
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP

# ---- requirements

if [ -z "${BIN:-}" ]; then
  command -v cargo >/dev/null || fail "cargo is missing: install Rust (https://rustup.rs)"
  step "Building the programs of the local cluster, and the operator"
  tools/install.sh demo
  cargo build --locked --package runtime-operator --package local-cluster --bins
  BIN=${CARGO_TARGET_DIR:-target}/debug
  began=$EPOCHREALTIME
fi
for program in "$BIN/runtime-operator" "$BIN/local-cluster" tools/bin/kubectl tools/bin/redis-cli; do
  [ -x "$program" ] || fail "$program is missing: run scripts/demo.sh without BIN"
done
scratch=$(mktemp -d -t runtime-operator-demo-XXXXXX)
log=$scratch/operator.log
# The same program under the name of a kubectl plugin.
mkdir "$scratch/bin"
ln -s "$(realpath "$BIN/runtime-operator")" "$scratch/bin/kubectl-rtenant"
PATH=$scratch/bin:$PWD/tools/bin:$PATH
# kubectl must not leave its cache of this cluster in the home folder.
export PATH KUBECACHEDIR=$scratch/kubectl
# The demo shows the operator with default settings, on loopback only.
unset KUBECONFIG http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY POD_NAMESPACE
unset ${!REDIS_@} ${!ADMIN_@} ${!RUNTIME_ADMIN_@} WATCH_NAMESPACES CLUSTER_ID LEADER_ELECT PUBLISH_WEBHOOK_SECRET \
  TELEMETRY_ADDR ENABLE_RUNTIME_ADMIN ALLOW_RUNTIME_SECRET_READ LOG_FORMAT RUST_LOG

# ---- the tour

step "A Kubernetes API server and a Redis on this machine"
typed "$BIN/local-cluster --without-controllers crds/runtimetenants.yaml &"
say "  starting etcd, kube-apiserver and Redis (a few seconds) ..."
background "$scratch/exports" "$scratch/cluster.log" "$BIN/local-cluster" --without-controllers crds/runtimetenants.yaml
cluster=$!
until grep -qs '^export REDIS_URL=' "$scratch/exports"; do
  kill -0 "$cluster" 2>/dev/null || fail "the local cluster did not start: $(tail -n 5 "$scratch/cluster.log")"
  [ "$(ms_since "$began")" -lt 120000 ] || fail "the local cluster did not start in 120 s"
  sleep 0.05
done
sed 's/^/$ /' "$scratch/exports"
# shellcheck disable=SC1091  # two lines of exports
. "$scratch/exports"
run 'kubectl get crd runtimetenants.runtime.veralux.io'
expect runtimetenants "the API server knows RuntimeTenant"

step "The operator"
arguments=(run --admin-addr 127.0.0.1:0 --telemetry-addr 127.0.0.1:0 --log-format text)
typed "$BIN/runtime-operator ${arguments[*]} &"
NO_COLOR=1 background "$log" "$log" "$BIN/runtime-operator" "${arguments[@]}"
operator=$!
telemetry() { sed -nE 's/.*serving probes and metrics address=([0-9.:]+).*/\1/p' "$log"; }
# get PATH: prints the status line of the operator's response, with bash alone.
get() {
  local address
  address=$(telemetry) && [ -n "$address" ] || return 1
  { printf 'GET %s HTTP/1.0\r\nHost: demo\r\n\r\n' "$1" >&3 && head -n 1 <&3; } 3<>"/dev/tcp/${address/://}"
}
since=$EPOCHREALTIME
until [[ $(get /readyz 2>/dev/null) == *" 200 "* ]]; do
  kill -0 "$operator" 2>/dev/null || fail "the operator exited unexpectedly"
  [ "$(ms_since "$since")" -lt 60000 ] || fail "the operator is not ready after 60 s"
  sleep 0.02
done
ok "it is the leader and has loaded the records from Redis (ready after $(ms_since "$since") ms)"

tenants=$(cat examples/*.yaml | grep -c '^kind: RuntimeTenant')
step "Tenants, as their owners write them"
run 'kubectl apply -f examples/'
run 'kubectl wait --for=condition=Ready rtenant --all --timeout=60s'
run 'kubectl get rtenant'
[ "$(grep -c ' True ' <<<"$output")" = "$tenants" ] || fail "expected $tenants tenants that are Ready"
ok "each is Ready, and shows how many numbers are published"

step "The voice runtime reads two keys when +1 555 123 4567 is called"
run 'redis-cli -u $REDIS_URL get tenantmap:did:+15551234567'
expect acme-dental "the number is mapped to its tenant"
run 'redis-cli -u $REDIS_URL get tenantcfg:acme-dental'
expect '"dids":["+15551234567","+442079460958"]' "the config lists the numbers without white space"
expect '"webhookSecret":"whsec_' "the config contains the webhook secret from the Secret (shown as ***)"

step "Another tenant claims the same number"
run $'kubectl patch rtenant north-clinic --type=merge -p \'{"spec": {"dids": ["+15550100002", "+1 555 123 4567"]}}\''
run $'kubectl wait rtenant north-clinic --for=jsonpath=\'{.status.conditions[?(@.type=="Ready")].reason}\'=DidConflict --timeout=60s'
run 'kubectl get rtenant north-clinic -o wide'
expect "+15551234567 is held by default/acme-dental" "the conflict is reported, naming the number and its holder"
run 'redis-cli -u $REDIS_URL mget tenantmap:did:+15551234567 tenantmap:did:+15550100002'
expect $'acme-dental\nnorth-clinic' "the number is still mapped to acme-dental, and north-clinic's own number to north-clinic"
findings 'kubectl rtenant status --conflicts'
expect "default/north-clinic" "the command line names the number, its holder and who waits"

step "The holder releases the number"
run $'kubectl patch rtenant acme-dental --type=merge -p \'{"spec": {"dids": ["+44 20 7946 0958"]}}\''
await north-clinic "the number is mapped to the waiting tenant" 'redis-cli -u $REDIS_URL get tenantmap:did:+15551234567'
run 'kubectl wait --for=condition=Ready rtenant/north-clinic --timeout=60s'
run "kubectl rtenant trace '+1 555 123 4567'"
expect "a call is answered by tenant north-clinic" "the command line says who answers the number, and why"
await "claimed numbers released by another tenant: +15551234567" "an event reports it" 'kubectl get events --field-selector reason=Promoted'

step "A webhook secret is rotated"
run $'kubectl patch secret acme-dental-webhook -p \'{"stringData": {"webhookSecret": "whsec_rotated_by_the_demo"}}\''
await whsec_rotated_by_the_demo "the new one is published" 'redis-cli -u $REDIS_URL get tenantcfg:acme-dental | grep -o whsec_rotated_by_the_demo'

step "Another client deletes keys in Redis"
run 'redis-cli -u $REDIS_URL del tenantmap:did:+15557654321 tenantcfg:harbor-law'
await 2 "both keys are restored" 'redis-cli -u $REDIS_URL exists tenantmap:did:+15557654321 tenantcfg:harbor-law'

step "Another client flushes Redis"
run 'redis-cli -u $REDIS_URL flushall'
await $'acme-dental\nnorth-clinic\nharbor-law\nlindenhof\ngrand-hotel\ncorner-bakery' "every number is restored" 'redis-cli -u $REDIS_URL mget tenantmap:did:+442079460958 tenantmap:did:+15551234567 tenantmap:did:+15557654321 tenantmap:did:+493023125001 tenantmap:did:+15550100003 tenantmap:did:+15550100001'

step "A tenant is deleted"
run 'kubectl delete rtenant harbor-law --timeout=60s'
run 'redis-cli -u $REDIS_URL exists tenantmap:did:+15557654321 tenantcfg:harbor-law'
[ "$output" = 0 ] || fail "expected that its keys are removed"
ok "its keys are removed"
run 'kubectl get rtenant'
[ "$(grep -c ' True ' <<<"$output")" = "$((tenants - 1))" ] || fail "expected that the others are Ready"
ok "the others are unchanged"

took=$(($(ms_since "$began") / 1000))

# shellcheck disable=SC2317  # called by a trap too
finish() {
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
  step "The end"
  say "  stopping the operator and the cluster ..."
  local pid=$operator
  operator=''
  stop "$pid"
  [ "$stopped" = 0 ] || fail "the operator ended with status $stopped"
  ok "the operator stopped cleanly; the tour took $took s"
  exit 0
}

case ${KEEP:-} in
'' | 0 | no | false) finish ;;
esac

# From here on Ctrl-C is the regular end.
trap 'say; finish' INT TERM
step "The cluster and the operator keep running until Ctrl-C. To use them, in another terminal:"
say "  cd $PWD"
say "  export PATH=\$PWD/tools/bin:\$PATH"
sed 's/^/  /' "$scratch/exports"
say
say "Commands to try:"
say "  kubectl get rtenant -o wide --watch                # and apply, patch, delete in a third one"
say "  kubectl describe rtenant north-clinic              # conditions and events"
say "  kubectl explain rtenant.spec.tts                   # every field is described"
say "  kubectl annotate rtenant --all seen=true           # changes nothing in Redis"
say "  redis-cli -u \$REDIS_URL monitor                    # what the operator sends to Redis"
say "  tail -f $log"
say "  curl http://$(telemetry)/metrics"
wait -n "$operator" "$cluster" || true
fail "the operator or the cluster exited unexpectedly"
