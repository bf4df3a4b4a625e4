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

# built NAME MODULE-FOLDER PACKAGE MINUTES: links NAME, found or built; MINUTES is what a build takes on two cores.
built() {
  local name=$1 folder=$2 package=$3 minutes=$4 path key
  path=$(found "$name")
  if [ -z "$path" ]; then
    key=$(cat "$folder/go.mod" "$folder/go.sum" | sha256sum | cut -c1-12)
    path=$cache/$key/$name
    if [ ! -x "$path" ]; then
      command -v go >/dev/null || die "$name is not on the PATH and can't be built: install Go 1.25 or newer, or set KUBEBUILDER_ASSETS"
      say "building $name from $package (once, about $minutes on two cores) ..."
      local start=$SECONDS flags
      flags=$(linker_flags)
      mkdir -p "$cache/$key"
      (cd "$folder" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$path.new" "$package")
      mv "$path.new" "$path"
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

packaged redis-server redis-server
packaged redis-cli redis-tools
built etcd . go.etcd.io/etcd/server/v3 "1 minute"
built kube-apiserver . k8s.io/kubernetes/cmd/kube-apiserver "6 minutes"
built kube-controller-manager . k8s.io/kubernetes/cmd/kube-controller-manager "2 minutes"
built kubectl . k8s.io/kubernetes/cmd/kubectl "1 minute"
