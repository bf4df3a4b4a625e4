#!/usr/bin/env bash
# Builds or checks the image without a registry. The base images are made from this machine's files.
#   scripts/image.sh build   builds it with buildah, as localhost/runtime-operator:<version>, and prints its size
#   scripts/image.sh digest  prints the built image with its digest
#   scripts/image.sh check   runs its root file system read-only, as its own user, and publishes a tenant with it
#   BIN=…                    for the check, the folder of local-cluster, instead of building it
#   PLATFORM=linux/arm64     another architecture, if the kernel can run its programs
# The compiled dependencies are kept in RUNTIME_OPERATOR_CACHE (by default ~/.cache/runtime-operator).
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}/image
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
image=localhost/runtime-operator:$version
scratch=$(mktemp -d)
pids=()
mounted=''

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }
build_ah() { buildah --root "$cache/storage" --runroot "$cache/run" --storage-driver vfs "$@"; }

cleanup() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  [ -z "$mounted" ] || build_ah rm "$mounted" >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

ready() {
  command -v buildah >/dev/null || die "buildah is missing: install it (Debian and Ubuntu: apt-get install buildah)"
  [ "$(id -u)" = 0 ] || die "mounting a root file system needs root"
  mkdir -p "$cache/target"
}

# skeleton FOLDER: creates the folders that every root file system needs, in Debian's layout.
skeleton() {
  mkdir -p "$1"/{etc/ssl/certs,tmp,usr/bin,usr/lib64,proc,dev,sys} "$1/usr/lib/$triplet"
  chmod 1777 "$1/tmp"
  ln -s usr/bin "$1/bin"
  ln -s usr/lib "$1/lib"
  ln -s usr/lib64 "$1/lib64"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
  printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$1/etc/group"
  printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
}

# base NAME FOLDER CONFIG...: makes an image from a folder.
base() {
  local name=$1 folder=$2 container
  shift 2
  container=$(build_ah from scratch)
  build_ah copy --quiet "$container" "$folder" / >/dev/null
  build_ah config "$@" "$container"
  build_ah commit --quiet "$container" "$name" >/dev/null
  build_ah rm "$container" >/dev/null
}

# The C library and the other libraries to which the program is linked.
runtime_base() {
  local folder=$scratch/runtime library
  skeleton "$folder"
  for library in libc.so.6 libm.so.6 libgcc_s.so.1 libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
    cp -L "/usr/lib/$triplet/$library" "$folder/usr/lib/$triplet/"
  done
  cp -L /lib64/ld-*.so.* "$folder/usr/lib64/"
  base localhost/runtime-base "$folder" --os linux
}

# The compilers of this machine are mounted during the build.
build_base() {
  local folder=$scratch/build
  skeleton "$folder"
  mkdir -p "$folder"/{toolchain,cargo/registry,src/target,etc/alternatives}
  base localhost/build-base "$folder" --env PATH=/toolchain/bin:/usr/bin --env CARGO_HOME=/cargo --env CARGO_NET_OFFLINE=true
}

build() {
  ready
  triplet=$(gcc -dumpmachine)
  say "fetching the dependencies ..."
  cargo fetch --locked --quiet
  say "making the base images ..."
  runtime_base
  build_base
  say "building $image (some minutes the first time) ..."
  build_ah bud --isolation chroot --network host --quiet \
    ${PLATFORM:+--platform "$PLATFORM"} \
    --build-arg BUILD_IMAGE=localhost/build-base --build-arg RUNTIME_IMAGE=localhost/runtime-base \
    --build-arg "VERSION=$version" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    --volume /usr:/usr:ro --volume /etc/alternatives:/etc/alternatives:ro --volume "$(rustc --print sysroot):/toolchain:ro" \
    --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/cargo/registry" --volume "$cache/target:/src/target" \
    --tag "$image" . >/dev/null
  mount_image
  say "$image: $(du -m --apparent-size "$root/usr/local/bin/runtime-operator" | cut -f 1) MB without the base, \
$(du -sm --apparent-size "$root" | cut -f 1) MB with the local one"
}

mount_image() {
  mounted=$(build_ah from "$image") || die "build it first: make image"
  root=$(build_ah mount "$mounted")
}

# within SECONDS WHAT COMMAND...: waits until a command succeeds.
within() {
  local limit=$1 what=$2 began=$SECONDS
  shift 2
  until "$@" >"$scratch/said" 2>&1; do
    [ $((SECONDS - began)) -lt "$limit" ] || { cat "$scratch/said" "$scratch"/*.log >&2; die "not within $limit s: $what"; }
    sleep 0.1
  done
  say "ok: $what"
}

# serve PORT: runs it as a kubelet does: read-only, as its own user, without capabilities, with the image and one mounted
# file only. Its telemetry is on PORT.
serve() {
  exec unshare --mount --pid --fork --kill-child bash -c '
    set -e
    root=$1 kubeconfig=$2
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 tmpfs "$root/tmp"
    cp "$kubeconfig" "$root/tmp/kubeconfig"
    chmod 444 "$root/tmp/kubeconfig"
    mount -o remount,ro,bind "$root/tmp"
    mount -o remount,ro,bind "$root"
    # A process that changes to another user than root loses its capabilities.
    exec env -i PATH=/usr/sbin:/usr/bin KUBECONFIG=/tmp/kubeconfig "REDIS_URL=$REDIS_URL" \
      "TELEMETRY_ADDR=127.0.0.1:$3" ADMIN_ADDR=127.0.0.1:0 LOG_FORMAT=text \
      setpriv --no-new-privs chroot --userspec=65532:65532 --groups=65532 "$root" /usr/local/bin/runtime-operator run
  ' _ "$root" "$scratch/kubeconfig" "$1" >"$scratch/operator.log" 2>&1
}

check() {
  ready
  mount_image
  local bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
  [ -n "${BIN:-}" ] || cargo build --quiet --locked --package runtime-operator --package local-cluster --bins
  "$bin/local-cluster" crds/runtimetenants.yaml >"$scratch/cluster.env" 2>"$scratch/cluster.log" &
  pids+=($!)
  within 120 "a cluster and a Redis are up" grep -q REDIS_URL "$scratch/cluster.env"
  # shellcheck disable=SC1091
  . "$scratch/cluster.env"
  export KUBECONFIG REDIS_URL PATH=$PWD/tools/bin:$PATH
  kubectl config view --raw --flatten --minify >"$scratch/kubeconfig"
  config=$(build_ah inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' "$image")
  [ "$config" = "65532:65532 [/usr/local/bin/runtime-operator] [run]" ] || die "the image says it runs as $config"
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  serve "$port" &
  pids+=($!)
  within 60 "the image's operator is ready" curl -fs --noproxy '*' "http://127.0.0.1:$port/readyz"
  kubectl apply -f examples/minimal.yaml >/dev/null
  kubectl wait --for=condition=Ready --timeout=60s runtimetenant/corner-bakery >/dev/null
  within 10 "its tenant is published" sh -c 'test "$(redis-cli -u "$REDIS_URL" get tenantmap:did:+15550100001)" = corner-bakery'
  local pid
  pid=$(pgrep -P "${pids[-1]}")
  grep -q '^Uid:[[:space:]]65532' "/proc/$pid/status" || die "it does not run as 65532"
  grep -q '^CapEff:[[:space:]]0*$' "/proc/$pid/status" || die "it has capabilities"
  grep -qE '^\S+ / \S+ ro' "/proc/$pid/mounts" || die "its root can be written to: $(head -n 3 "/proc/$pid/mounts")"
  say "ok: it runs as 65532, without capabilities, on a root that can't be written to"
  kill -TERM "$pid"
  within 20 "it stops after SIGTERM" sh -c "! kill -0 $pid 2>/dev/null"
  grep -q 'shutdown complete' "$scratch/operator.log" || die "it did not stop cleanly"
  say "ok: $image publishes a tenant and stops cleanly"
}

case ${1:-} in
  build) build ;;
  digest) printf '%s@%s\n' "${image%:*}" "$(build_ah inspect --type image --format '{{.FromImageDigest}}' "$image")" ;;
  check) check ;;
  *) sed -n '2,8s/^# //p' "$0" && exit 2 ;;
esac
