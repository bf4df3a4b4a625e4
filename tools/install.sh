#!/usr/bin/env bash
# Finds or builds the programs that the demo, the tests and the benchmarks run, and links them into tools/bin.
#   tools/install.sh            the programs of the local cluster
#   tools/install.sh profile    these, and perf
#   tools/install.sh chart      these, vale, and the programs that the chart's tests need: Helm 3 and 4, kubeconform, kwok,
#                               the scheduler, the oldest Kubernetes that is supported, and the schemas of all
#   tools/install.sh prose      vale alone
# A program is taken from KUBEBUILDER_ASSETS, else from the PATH, else built once from the module that pins it
# into a cache outside the work tree (RUNTIME_OPERATOR_CACHE, by default ~/.cache/runtime-operator).
set -euo pipefail
cd "$(dirname "$0")"

cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}
bin=$PWD/bin
mkdir -p "$bin"

say() { printf 'tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# link NAME PATH: links tools/bin/NAME to PATH.
link() { ln -sfn "$2" "$bin/$1"; }

# found NAME: prints the path of the user's own program, if any.
found() {
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$1" ]; then
    printf '%s\n' "$KUBEBUILDER_ASSETS/$1"
  else
    type -P "$1" || true
  fi
}

# kubernetes_version FOLDER: prints the version that the folder's module pins, or else this folder's, for example v1.37.2.
kubernetes_version() {
  local version
  version=$(sed -n 's|^.*\bk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$1/go.mod" | head -n 1)
  if [ -n "$version" ]; then printf '%s' "$version"; else kubernetes_version .; fi
}

# The API server reports the version in these linker flags; Helm and clients reject one without a version.
linker_flags() {
  local version minor
  version=$(kubernetes_version "$1")
  minor=${version#v1.}
  minor=${minor%%.*}
  printf '%s' "-s -w"
  local package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf ' -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s' \
      "$package" "$version" "$package" "$package" "$minor"
  done
}

# go_ready FOLDER: exits with a message unless the Go version that the folder's module requires is available. Go may download a
# newer toolchain, so the check runs inside the folder.
go_ready() {
  local wanted has
  wanted=$(sed -n 's|^go \([0-9.]*\).*|\1|p' "$1/go.mod")
  command -v go >/dev/null || die "Go is missing: install Go $wanted or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS"
  has=$(cd "$1" && go env GOVERSION 2>/dev/null || true)
  has=${has#go}
  [ -n "$has" ] && [ "$(printf '%s\n' "$wanted" "$has" | sort -V | head -n 1)" = "$wanted" ] ||
    die "Go is too old: install Go $wanted or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS"
}

# patiently NAME COMMAND...: runs the command, and reports every 30 s that it is still running.
patiently() {
  local name=$1 start=$SECONDS
  shift
  "$@" &
  local pid=$!
  # Without this, the build would continue for minutes after the script was interrupted.
  trap 'kill "$pid" 2>/dev/null || true' EXIT
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    local passed=$((SECONDS - start))
    if [ "$passed" -gt 0 ] && [ $((passed % 30)) = 0 ]; then say "  still building $name, $passed s"; fi
  done
  trap - EXIT
  wait "$pid"
}

# compile FOLDER PACKAGE FLAGS OUTPUT
# CGO=1 builds a program that contains C. The warnings of such C are not ours.
compile() { cd "$1" && CGO_ENABLED=${CGO:-0} CGO_CFLAGS="-O1 -w" exec go build -trimpath -buildvcs=false -ldflags "$3" -o "$4" "$2"; }

# pinned NAME MODULE-FOLDER PACKAGE MINUTES: builds NAME, unless it is in the cache, and links it. MINUTES is the build time on
# two cores.
pinned() {
  local name=$1 folder=$2 package=$3 minutes=$4 path key
  # The folder may contain sources of our own.
  key=$({ cat "$folder/go.mod" "$folder/go.sum" && find "$folder" -maxdepth 1 -name '*.go' -exec cat {} +; } | sha256sum | cut -c1-12)
  path=$cache/$key/$name
  if [ ! -x "$path" ]; then
    go_ready "$folder"
    say "building $name from $package (once, about $minutes on two cores) ..."
    local start=$SECONDS flags
    flags=$(linker_flags "$folder")
    mkdir -p "$cache/$key"
    patiently "$name" compile "$folder" "$package" "$flags" "$path.$$" || die "could not build $name"
    mv "$path.$$" "$path"
    say "built $name in $((SECONDS - start)) s"
  fi
  link "$name" "$path"
}

# built NAME MODULE-FOLDER PACKAGE MINUTES: links the user's own NAME, or else does the same as pinned.
built() {
  local path
  path=$(found "$1")
  if [ -n "$path" ]; then link "$1" "$path"; else pinned "$@"; fi
}

# unpacked NAME MODULE@VERSION: links NAME to the folder of a Go module, for its files other than Go sources.
unpacked() {
  local folder
  # Outside of every module, so that no go.mod must require it.
  folder=$(cd / && go mod download -json "$2" | sed -n 's|^\s*"Dir": "\(.*\)",*$|\1|p') && [ -n "$folder" ] ||
    die "could not download $2"
  link "$1" "$folder"
}

# packaged NAME DEBIAN-PACKAGE: links the user's own NAME, or else installs the package.
packaged() {
  local name=$1 package=$2 path
  path=$(found "$name")
  if [ -z "$path" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      say "installing $package with apt-get ..."
      # RUNLEVEL=1 keeps the packages' services stopped: the tests start their own on free ports.
      { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } >/dev/null ||
        die "apt-get could not install $package"
      path=$(found "$name")
    fi
    [ -n "$path" ] || die "$name is missing: install it (Debian and Ubuntu: apt-get install $package; macOS: brew install ${package%-*})"
  fi
  link "$name" "$path"
}

# at_least NAME MAJOR: exits with a message if NAME's version is older.
at_least() {
  local version
  version=$("$bin/$1" --version | sed 's|.*v=||; s|[^0-9]*\([0-9]*\).*|\1|' | head -n 1)
  [ "${version:-0}" -ge "$2" ] || die "$1 is too old: install version $2 or newer"
}

# like_pinned NAME: warns if NAME has another minor version than the one that the tests are made for.
like_pinned() {
  local version pinned
  version=$("$bin/$1" --version)
  pinned=$(kubernetes_version .)
  case $version in
    *" ${pinned%.*}."*) ;;
    *) say "$1 is $version; the tests are made for ${pinned%.*}" ;;
  esac
}

# Vale's parsers of programming languages are C.
prose_linter() { CGO=1 pinned vale vale github.com/vale-cli/vale/v3/cmd/vale "2 minutes"; }
if [ "${1:-}" = prose ]; then prose_linter; exit; fi

command -v setpriv >/dev/null || die "setpriv is missing: install util-linux 2.32 or newer (Linux only)"
packaged redis-server redis-server
packaged redis-cli redis-tools
at_least redis-server 7
packaged prometheus prometheus
packaged promtool prometheus
packaged jq jq
packaged openssl openssl
packaged valgrind valgrind
built etcd . go.etcd.io/etcd/server/v3 "1 minute"
built kube-apiserver . k8s.io/kubernetes/cmd/kube-apiserver "6 minutes"
built kube-controller-manager . k8s.io/kubernetes/cmd/kube-controller-manager "2 minutes"
built kubectl . k8s.io/kubernetes/cmd/kubectl "1 minute"
built kstatus kstatus . "1 minute"
# A separate module, because its dependencies are older than those of Kubernetes.
built toxiproxy-server toxiproxy github.com/Shopify/toxiproxy/v2/cmd/server "1 minute"
like_pinned kube-apiserver
like_pinned kube-controller-manager

if [ "${1:-}" = profile ]; then packaged perf linux-perf; fi
[ "${1:-}" = chart ] || exit 0
prose_linter
built kube-scheduler . k8s.io/kubernetes/cmd/kube-scheduler "1 minute"
pinned kwok kwok sigs.k8s.io/kwok/cmd/kwok "3 minutes"
pinned kubeconform kubeconform github.com/yannh/kubeconform/cmd/kubeconform "1 minute"
pinned helm helm helm.sh/helm/v4/cmd/helm "4 minutes"
pinned helm3 helm3 helm.sh/helm/v3/cmd/helm "3 minutes"
for program in kube-apiserver kube-controller-manager kube-scheduler; do
  pinned "oldest-$program" oldest "k8s.io/kubernetes/cmd/$program" "6 minutes"
done
unpacked kubernetes-1.33 "k8s.io/kubernetes@$(kubernetes_version oldest)"
unpacked kubernetes-1.34 k8s.io/kubernetes@v1.34.2
unpacked kubernetes-1.35 k8s.io/kubernetes@v1.35.4
unpacked kubernetes-1.36 k8s.io/kubernetes@v1.36.1
unpacked kubernetes-1.37 "k8s.io/kubernetes@$(kubernetes_version .)"
unpacked prometheus-operator github.com/prometheus-operator/prometheus-operator@v0.85.0
unpacked cert-manager github.com/cert-manager/cert-manager@v1.21.2
unpacked gateway-api sigs.k8s.io/gateway-api@v1.4.0
