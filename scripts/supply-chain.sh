#!/usr/bin/env bash
# Checks or lists the program's dependencies.
#   scripts/supply-chain.sh deny   licences, sources, bans, and advisories if their database is reachable (cargo-deny)
#   scripts/supply-chain.sh sbom   target/sbom/runtime-operator.cdx.json: every crate in the program, CycloneDX
# The tools are built once into RUNTIME_OPERATOR_CACHE (by default ~/.cache/runtime-operator), unless they are installed.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}/cargo-tools
export PATH=$cache/bin:$PATH

# tool NAME VERSION: builds a tool unless it is installed.
tool() {
  command -v "$1" >/dev/null && return
  echo "supply-chain: building $1 $2 (once, some minutes) ..." >&2
  cargo install --quiet --locked --root "$cache" "$1@$2"
}

deny() {
  tool cargo-deny 0.20.2
  cargo deny --locked check --hide-inclusion-graph bans licenses sources
  # The database of known vulnerabilities is fetched with git.
  if timeout 120 cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check --disable-fetch advisories
  elif [ -n "${ADVISORIES:-}" ]; then
    echo "supply-chain: FAILED: the database of advisories can't be reached" >&2
    exit 1
  else
    echo "supply-chain: the database of advisories can't be reached: advisories were NOT checked (ADVISORIES=1 makes this an error)" >&2
  fi
}

sbom() {
  tool cargo-cyclonedx 0.5.9
  local out=target/sbom
  mkdir -p "$out"
  trap 'rm -f runtime-operator_bin.cdx.json tests/local-cluster/local-cluster_bin.cdx.json benches/instructions/instructions_bin.cdx.json' EXIT
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s) cargo cyclonedx --quiet --format json --describe binaries
  mv runtime-operator_bin.cdx.json "$out/runtime-operator.cdx.json"
  python3 - "$out/runtime-operator.cdx.json" <<'PY'
import json, sys
bom = json.load(open(sys.argv[1]))
names = {component["name"] for component in bom["components"]}
assert bom["bomFormat"] == "CycloneDX" and {"kube", "redis", "warp", "tokio"} <= names, sorted(names)
unlicensed = [component["name"] for component in bom["components"] if not component.get("licenses")]
assert not unlicensed, f"without a licence: {unlicensed}"
print(f"{sys.argv[1]}: {len(names)} crates, CycloneDX {bom['specVersion']}")
PY
}

case ${1:-} in
  deny) deny ;;
  sbom) sbom ;;
  *) sed -n '2,5s/^# //p' "$0" && exit 2 ;;
esac
