#!/usr/bin/env bash
# Prints the path of another Redis or Valkey than the one of tools/bin, for `make test-redis` (Debian and Ubuntu, amd64 and arm64).
#   tools/redis.sh valkey-8.1|valkey-8.0|redis-8.0|redis-7.0
# redis-7.0 is the machine's own. The others are packages of other releases of Debian than this machine's: they are downloaded once,
# with all that they depend on, unpacked into a cache outside the work tree (RUNTIME_OPERATOR_CACHE), and run with their own loader and
# libraries. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"

cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}
say() { printf 'tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The mirror that this machine uses for Debian.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1
}

# unpacked NAME SUITE PACKAGE PROGRAM [SUITE-OF-DEPENDENCIES]: unpacks the package, and writes a script that runs its program.
unpacked() {
  local name=$1 suite=$2 package=$3 program=$4 base=${5:-} folder=$cache/$1 uri
  if [ ! -x "$folder/redis-server" ]; then
    uri=$(mirror) && [ -n "$uri" ] || die "no mirror of Debian is configured: $name can't be had"
    say "downloading $package of $suite (once) ..."
    rm -rf "$folder" && mkdir -p "$folder"/{apt/lists/partial,apt/cache/archives/partial,root}
    : >"$folder/apt/status"
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg source
    for source in "$suite" $base; do printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$uri" "$source"; done >"$folder/apt/sources.list"
    local options=(-qq -o "Dir::Etc::SourceList=$folder/apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=-
      -o "Dir::State::Lists=$folder/apt/lists" -o "Dir::State::Status=$folder/apt/status" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root
      -o APT::Install-Recommends=false -o Debug::NoLocking=true)
    apt-get "${options[@]}" update >&2 && apt-get "${options[@]}" --yes --download-only --target-release "$suite" install "$package" >&2 ||
      die "$package of $suite can't be had"
    local archive
    for archive in "$folder"/apt/cache/archives/*.deb; do dpkg-deb --extract "$archive" "$folder/root"; done
    rm -rf "$folder/apt"
    # The loader's name is that of the architecture.
    local loader
    loader=$(find "$folder/root" -name 'ld-linux-*.so.*' | head -n 1)
    [ -x "$loader" ] && [ -e "$folder/root/usr/bin/$program" ] || die "$package of $suite has no $program"
    cat >"$folder/redis-server.new" <<END
#!/bin/sh
root=$folder/root
for machine in "\$root"/usr/lib/*-linux-gnu; do libraries=\$machine:\$root/lib/\${machine##*/}; done
exec "$loader" --library-path "\$libraries" "\$root/usr/bin/$program" "\$@"
END
    chmod +x "$folder/redis-server.new" && mv "$folder/redis-server.new" "$folder/redis-server"
  fi
  printf '%s\n' "$folder/redis-server"
}

case ${1:-} in
  redis-7.0) path=$PWD/bin/redis-server ;;
  redis-8.0) path=$(unpacked redis-8.0 trixie redis-server redis-server) ;;
  valkey-8.1) path=$(unpacked valkey-8.1 trixie valkey-server valkey-server) ;;
  valkey-8.0) path=$(unpacked valkey-8.0 bookworm-backports valkey-server valkey-server bookworm) ;;
  *) sed -n '2,3s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
# Redis and Valkey print "v=8.1.1" among others.
version=$("$path" --version | sed -n 's/.*v=\([0-9]*\.[0-9]*\).*/\1/p')
[ "$version" = "${1##*-}" ] || die "$path is version $version, not ${1##*-}"
printf '%s\n' "$path"
