#!/usr/bin/env bash
# Finds or builds the programs that the demo, the tests and the benches run, and links them into tools/bin.
#   tools/install.sh            the programs of the local cluster
# A program is taken from KUBEBUILDER_ASSETS, else from the PATH, else built once from the module that pins it
# into a cache outside the work tree (RUNTIME_OPERATOR_CACHE, by default ~/.cache/runtime-operator).
set -euo pipefail
cd "$(dirname "$0")"

cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}
bin=$PWD/bin
mkdir -p "$bin"

say() { printf 'tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# link NAME PATH: make PATH the program that tools/bin/NAME stands for.
link() { ln -sfn "$2" "$bin/$1"; }

# found NAME: the program as a user keeps it, or nothing.
found() {
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$1" ]; then
    printf '%s\n' "$KUBEBUILDER_ASSETS/$1"
  else
    type -P "$1" || true
  fi
}

# kubernetes_version: the pinned one, as in v1.35.4.
kubernetes_version() { sed -n 's|^\s*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' go.mod | head -n 1; }

# The API server reports its version from the linker's flags; Helm and clients refuse one that reports none.
linker_flags() {
  local version minor
  version=$(kubernetes_version)
  minor=${version#v1.}
  minor=${minor%%.*}
  printf '%s' "-s -w"
  local package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf ' -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s' \
      "$package" "$version" "$package" "$package" "$minor"
  done
}

# go_ready FOLDER: ends with one line unless a Go that the folder's module asks for is there. A newer toolchain that Go
# fetches by itself counts, so it is asked inside the folder.
go_ready() {
  local wanted has
  wanted=$(sed -n 's|^go \([0-9.]*\).*|\1|p' "$1/go.mod")
  command -v go >/dev/null || die "Go is missing: install Go $wanted or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS"
  has=$(cd "$1" && go env GOVERSION 2>/dev/null || true)
  has=${has#go}
  [ -n "$has" ] && [ "$(printf '%s\n' "$wanted" "$has" | sort -V | head -n 1)" = "$wanted" ] ||
    die "Go is too old: install Go $wanted or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS"
}

# patiently NAME COMMAND...: runs it, and says every 30 s that it still runs.
patiently() {
  local name=$1 start=$SECONDS
  shift
  "$@" &
  local pid=$!
  # A build that this script leaves behind would go on for minutes.
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
compile() { cd "$1" && CGO_ENABLED=0 exec go build -trimpath -buildvcs=false -ldflags "$3" -o "$4" "$2"; }

# built NAME MODULE-FOLDER PACKAGE MINUTES: links NAME, found or built; MINUTES is what a build takes on two cores.
built() {
  local name=$1 folder=$2 package=$3 minutes=$4 path key
  path=$(found "$name")
  if [ -z "$path" ]; then
    key=$(cat "$folder/go.mod" "$folder/go.sum" | sha256sum | cut -c1-12)
    path=$cache/$key/$name
    if [ ! -x "$path" ]; then
      go_ready "$folder"
      say "building $name from $package (once, about $minutes on two cores) ..."
      local start=$SECONDS flags
      flags=$(linker_flags)
      mkdir -p "$cache/$key"
      patiently "$name" compile "$folder" "$package" "$flags" "$path.$$" || die "could not build $name"
      mv "$path.$$" "$path"
      say "built $name in $((SECONDS - start)) s"
    fi
  fi
  link "$name" "$path"
}

# packaged NAME DEBIAN-PACKAGE: links NAME, found or installed from Debian.
packaged() {
  local name=$1 package=$2 path
  path=$(found "$name")
  if [ -z "$path" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      say "installing $package with apt-get ..."
      # The packages' own services are not wanted: the tests start what they need on ports of their own.
      { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } >/dev/null ||
        die "apt-get could not install $package"
      path=$(found "$name")
    fi
    [ -n "$path" ] || die "$name is missing: install it (Debian and Ubuntu: apt-get install $package; macOS: brew install redis)"
  fi
  link "$name" "$path"
}

# at_least NAME MAJOR: ends with one line when the version that NAME tells is older.
at_least() {
  local version
  version=$("$bin/$1" --version | sed 's|.*v=||; s|[^0-9]*\([0-9]*\).*|\1|' | head -n 1)
  [ "${version:-0}" -ge "$2" ] || die "$1 is too old: install version $2 or newer"
}

# like_pinned NAME: says so when NAME is of another minor version than the one that the tests are made for.
like_pinned() {
  local version pinned
  version=$("$bin/$1" --version)
  pinned=$(kubernetes_version)
  case $version in
    *" ${pinned%.*}."*) ;;
    *) say "$1 is $version; the tests are made for ${pinned%.*}" ;;
  esac
}

command -v setpriv >/dev/null || die "setpriv is missing: install util-linux 2.32 or newer (Linux only)"
packaged redis-server redis-server
packaged redis-cli redis-tools
at_least redis-server 7
built etcd . go.etcd.io/etcd/server/v3 "1 minute"
built kube-apiserver . k8s.io/kubernetes/cmd/kube-apiserver "6 minutes"
built kube-controller-manager . k8s.io/kubernetes/cmd/kube-controller-manager "2 minutes"
built kubectl . k8s.io/kubernetes/cmd/kubectl "1 minute"
# A module of its own: what it stands on is older than what Kubernetes stands on.
built toxiproxy-server toxiproxy github.com/Shopify/toxiproxy/v2/cmd/server "1 minute"
like_pinned kube-apiserver
like_pinned kube-controller-manager
