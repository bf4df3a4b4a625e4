#!/usr/bin/env bash
# Checks prose for people: Markdown, and the descriptions and comments of the chart, the CRD and the examples. The rules are
# in styles/runtime-operator. scripts/words.sh checks the code.
set -euo pipefail
cd "$(dirname "$0")/.."
exec tools/bin/vale --no-global --output=line --no-wrap \
  README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md docs charts/runtime-operator crds examples benches/instructions/counts.md
