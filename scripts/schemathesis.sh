#!/usr/bin/env bash
# Tests an operator's admin routes with schemathesis, which is installed from PyPI into the tools' cache, against the OpenAPI
# description that the operator serves.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.32.5
cache=${RUNTIME_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runtime-operator}/schemathesis-$version
if [ ! -x "$cache/bin/schemathesis" ]; then
  python3 -m venv "$cache"
  "$cache/bin/pip" install --quiet "schemathesis==$version"
fi
SCHEMATHESIS=$cache/bin/schemathesis exec cargo test --quiet --locked --test admin -- --ignored --nocapture schemathesis
