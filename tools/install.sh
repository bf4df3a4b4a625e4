#!/usr/bin/env bash
# Finds or builds the programs that the demo, the tests and the benchmarks run, and links them into tools/bin.
#   tools/install.sh            the programs of the local cluster
#   tools/install.sh demo       etcd, kube-apiserver, kubectl and Redis alone; the first two from an archive, if it can be had
#   tools/install.sh profile    the programs of the local cluster, and perf
#   tools/install.sh chart      the programs of the local cluster, vale, and the programs that the chart's tests need: Helm 3 and 4,
#                               helm-docs, kubeconform, actionlint, kwok, the scheduler, the oldest Kubernetes that is supported,
#                               and the schemas of all
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

# cached NAME MODULE-FOLDER: prints the path at which the cache has NAME once it is built.
cached() {
  # The folder may contain sources of our own.
  local key
  key=$({ cat "$2/go.mod" "$2/go.sum" && find "$2" -maxdepth 1 -name '*.go' -exec cat {} +; } | sha256sum | cut -c1-12)
  printf '%s/%s/%s' "$cache" "$key" "$1"
}

# pinned NAME MODULE-FOLDER PACKAGE MINUTES: builds NAME, unless it is in the cache, and links it. MINUTES is the build time on
# two cores.
pinned() {
  local name=$1 folder=$2 package=$3 minutes=$4 path
  path=$(cached "$name" "$folder")
  if [ ! -x "$path" ]; then
    go_ready "$folder"
    say "building $name from $package (once, about $minutes on two cores) ..."
    local start=$SECONDS flags
    flags=$(linker_flags "$folder")
    mkdir -p "${path%/*}"
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

# An archive with etcd, kube-apiserver and kubectl, which Kubernetes' controller-tools publish for tests. The checksums are those of
# their envtest-releases.yaml; 1.36.2 is the newest that it lists so far.
archive=envtest-v1.36.2
archive_url=${ENVTEST_URL:-https://github.com/kubernetes-sigs/controller-tools/releases/download}

# from_archive: downloads the archive, unless it is in the cache. Fails with a message if it can't be had.
from_archive() {
  local platform sum url file=$cache/$archive.$$.tar.gz
  [ ! -x "$cache/$archive/kube-apiserver" ] || return 0
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) platform=linux-amd64 sum=ea743186c8a799f5cf8faf16969f86189d003cb7d130e0ac4b58789f1e5748dcf30ebe91c837a10d5ac415383da3e10b9e64d65785c938c23e739781cfb76f08 ;;
    Linux-aarch64) platform=linux-arm64 sum=2d72ee985a8e262a3c57dc9f7f0fd891f6a8c7bf7ebaa2db6dc6d8eac8ae28181afe51c1f368b67756cdb40b10de9b205609e1726e5f27f7c6d824dd9c6649ac ;;
    *) say "there is no archive of kube-apiserver for this machine" && return 1 ;;
  esac
  url=$archive_url/$archive/$archive-$platform.tar.gz
  command -v curl >/dev/null || { say "curl is missing: kube-apiserver is not downloaded" && return 1; }
  # A blocked network may answer nothing at all.
  curl --silent --fail --head --max-time 3 --output /dev/null "$url" || { say "$archive can't be reached within 3 s" && return 1; }
  say "downloading $archive (once) ..."
  mkdir -p "$cache/$archive.$$"
  if curl --silent --show-error --fail --location --connect-timeout 3 --speed-limit 10000 --speed-time 10 --output "$file" "$url" &&
    sha512sum --check --quiet <<<"${ENVTEST_SHA512:-$sum}  $file" >&2 &&
    tar -xzf "$file" -C "$cache/$archive.$$" --strip-components 2; then
    rm -rf "${cache:?}/$archive" && mv "$cache/$archive.$$" "$cache/$archive"
  else
    rm -rf "$cache/$archive.$$"
    say "$archive is not what it should be"
  fi
  rm -f "$file"
  [ -x "$cache/$archive/kube-apiserver" ]
}

# downloaded NAME PACKAGE MINUTES: links the user's own NAME, or else the one that is built already, or else that of the archive;
# builds it where none can be had.
downloaded() {
  local name=$1 path
  path=$(found "$name")
  [ -n "$path" ] || path=$(cached "$name" .)
  if [ ! -x "$path" ] && [ -z "${no_archive:-}" ]; then
    if from_archive; then path=$cache/$archive/$name; else no_archive=1; fi
  fi
  if [ -x "$path" ]; then link "$name" "$path"; else pinned "$name" . "$2" "$3"; fi
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
if [ "${1:-}" = demo ]; then
  downloaded etcd go.etcd.io/etcd/server/v3 "1 minute"
  downloaded kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "6 minutes"
  downloaded kubectl k8s.io/kubernetes/cmd/kubectl "1 minute"
  exit
fi
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
pinned actionlint actionlint github.com/rhysd/actionlint/cmd/actionlint "1 minute"
pinned helm-docs helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs "1 minute"
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
unpacked flux-source github.com/fluxcd/source-controller@v1.8.0
unpacked flux-helm github.com/fluxcd/helm-controller@v1.6.1
unpacked flux-kustomize github.com/fluxcd/kustomize-controller@v1.9.0
unpacked argo-cd github.com/argoproj/argo-cd/v3@v3.4.0
