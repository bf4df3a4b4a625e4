#!/usr/bin/env bash
# Builds the documentation as a site, target/site, with mkdocs, which is installed from PyPI into the tools' cache. A broken link or anchor,
# and a page that the navigation lacks, are errors.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.6.1
cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}/mkdocs-$version
if [ ! -x "$cache/bin/mkdocs" ]; then
  python3 -m venv "$cache"
  "$cache/bin/pip" install --quiet "mkdocs==$version"
fi
exec "$cache/bin/mkdocs" build --quiet --strict
