#!/usr/bin/env bash
# Makes the files of a release.
#   scripts/release.sh --out DIR --image NAME@sha256:DIGEST   chart, install.yaml, kustomize, CRD, JSON schema, SBOM, the archive
#                                                             of this machine, and the checksums of all files in DIR
#   scripts/release.sh --out DIR --archive                    the archive of this machine alone
#   scripts/release.sh --out DIR --dry-run                    the former, with an image that scripts/image.sh builds here, unless
#                                                             one is given; the changelog may still call the version unreleased
#   scripts/release.sh … --without-builds                     neither SBOM nor archive
# The release workflow runs it on a machine of each platform and gives DIR with the archives of all to the last call.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'release: %s\n' "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }

out='' image='' dry='' archive_only='' without_builds=''
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=${2:?} && shift 2 ;;
    --image) image=${2:?} && shift 2 ;;
    --dry-run) dry=1 && shift ;;
    --archive) archive_only=1 && shift ;;
    --without-builds) without_builds=1 && shift ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2 ;;
  esac
done
[ -n "$out" ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The platform in the names of Go and of krew: linux or darwin, amd64 or arm64.
platform() {
  local os machine
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  machine=$(uname -m)
  case $machine in
    x86_64) machine=amd64 ;;
    aarch64) machine=arm64 ;;
  esac
  printf '%s_%s' "$os" "$machine"
}

# One program under both names: the operator, and the plugin of kubectl.
archive() {
  local name folder program
  name=kubectl-rtenant_${version}_$(platform)
  folder=$scratch/$name
  cargo build --quiet --release --locked --bin runtime-operator
  program=${CARGO_TARGET_DIR:-target}/release/runtime-operator
  mkdir -p "$folder"
  strip -o "$folder/runtime-operator" "$program" 2>/dev/null || cp "$program" "$folder/runtime-operator"
  ln "$folder/runtime-operator" "$folder/kubectl-rtenant"
  cp LICENSE README.md "$folder/"
  mkdir -p "$folder/completion" "$folder/man"
  for shell in bash zsh fish powershell; do
    "$folder/kubectl-rtenant" completion "$shell" >"$folder/completion/kubectl-rtenant.$shell"
  done
  "$folder/kubectl-rtenant" man "$folder/man"
  [ "$("$folder/kubectl-rtenant" --version)" = "$("$folder/runtime-operator" --version)" ] || die "the two names differ"
  tar --owner=0 --group=0 -C "$scratch" -czf "$out/$name.tar.gz" "$name" 2>/dev/null ||
    tar -C "$scratch" -czf "$out/$name.tar.gz" "$name"
  say "$name.tar.gz: $("$folder/runtime-operator" --version)"
}

# The manifest of the plugin for krew: its template, with each archive in DIR.
krew() {
  local file name os machine
  sed "s/vVERSION/v$version/" deploy/krew/rtenant.yaml
  for file in "$out"/kubectl-rtenant_"${version}"_*.tar.gz; do
    name=$(basename "$file" .tar.gz)
    IFS=_ read -r _ _ os machine <<<"$name"
    printf '    - selector: { matchLabels: { os: %s, arch: %s } }\n' "$os" "$machine"
    printf '      uri: https://github.com/%s/releases/download/v%s/%s.tar.gz\n' "${GITHUB_REPOSITORY:-veralux/runtime-operator}" "$version" "$name"
    printf '      sha256: %s\n' "$(sha256sum "$file" | cut -d ' ' -f 1)"
    printf '      bin: kubectl-rtenant\n      files: [{ from: "%s/*", to: . }]\n' "$name"
  done
}

if [ -n "$archive_only" ]; then archive; exit; fi

if grep -q "^## \[$version\]" CHANGELOG.md; then :; else
  [ -n "$dry" ] || die "CHANGELOG.md has no section $version"
  say "dry run: CHANGELOG.md has no section $version yet"
fi
if [ -z "$image" ]; then
  [ -n "$dry" ] || die "give --image NAME@sha256:DIGEST, or --dry-run"
  scripts/image.sh build
  image=$(scripts/image.sh digest)
fi
[[ $image =~ ^([^/]+)/(.+)@(sha256:[0-9a-f]{64})$ ]] || die "$image is not REGISTRY/REPOSITORY@sha256:DIGEST"
registry=${BASH_REMATCH[1]} repository=${BASH_REMATCH[2]} digest=${BASH_REMATCH[3]}
helm=tools/bin/helm
[ -x "$helm" ] || helm=helm

# The chart names the image that this release pushed, by its digest.
chart=$scratch/runtime-operator
cp -r charts/runtime-operator "$chart"
python3 - "$chart" "$registry" "$repository" "$digest" <<'PY'
import pathlib, re, sys
chart, registry, repository, digest = pathlib.Path(sys.argv[1]), *sys.argv[2:]
for name, pattern in (("values.yaml", r'(?m)^  {}: .*$'), ("templates/_defaults.tpl", r'(?m)^    "{}": "[^"]*"')):
    path = chart / name
    text = path.read_text()
    start = text.index("\nimage:" if name == "values.yaml" else '\n  "image": {')
    head, rest = text[:start], text[start:]
    for member, value in (("registry", registry), ("repository", repository), ("digest", digest)):
        line = f'  {member}: "{value}"' if name == "values.yaml" else f'    "{member}": "{value}"'
        rest, count = re.subn(pattern.format(member), line, rest, count=1)
        assert count == 1, f"{name} has no image.{member}"
    path.write_text(head + rest)
path = chart / "Chart.yaml"
text, count = re.subn(r"(?m)^      image: .*$", f"      image: {registry}/{repository}@{digest}", path.read_text())
assert count == 1, "Chart.yaml has no image for Artifact Hub"
path.write_text(text)
PY
"$helm" package "$chart" --version "$version" --app-version "$version" --destination "$out" >/dev/null
say "runtime-operator-$version.tgz: $registry/$repository@$digest"

scripts/manifests.sh "$chart" >"$out/install.yaml"
grep -qF "image: \"$registry/$repository@$digest\"" "$out/install.yaml" || die "install.yaml has another image"
mkdir -p "$out/deploy/kustomize"
cp deploy/kustomize/kustomization.yaml "$out/deploy/kustomize/"
cp "$out/install.yaml" "$out/deploy/kustomize/"
tar -C "$out" -czf "$out/kustomize-$version.tar.gz" deploy
cp crds/runtimetenants.yaml schemas/runtimetenant-v1.json "$out/"
if [ -z "$without_builds" ]; then
  scripts/supply-chain.sh sbom
  cp target/sbom/runtime-operator.cdx.json "$out/"
  ls "$out"/kubectl-rtenant_*_"$(platform)".tar.gz >/dev/null 2>&1 || archive
  krew >"$out/rtenant.yaml"
fi

# Checked as users check them: `sha256sum --check checksums.txt`.
(cd "$out" && find . -maxdepth 1 -type f ! -name checksums.txt -printf '%P\n' | sort | xargs sha256sum >checksums.txt && sha256sum --check --quiet checksums.txt)
say "$(wc -l <"$out/checksums.txt") files in $out"
