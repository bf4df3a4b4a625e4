#!/usr/bin/env bash
# Runs all checks for a change. The last line counts the tests that passed and failed.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n==> %s\n' "$*"; }

command -v cargo >/dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }

step "programs of the local cluster, of the chart and of the prose linter (tools/install.sh chart)"
tools/install.sh chart
step "format (cargo fmt)"
cargo fmt --all --check
step "lints (cargo clippy)"
cargo clippy --workspace --all-targets --locked -- -D warnings
step "words (scripts/words.sh)"
scripts/words.sh
step "prose (vale)"
scripts/prose.sh
step "documentation as a site (mkdocs)"
scripts/site.sh

# A fixed seed, so that a failure can be repeated; `make fuzz` uses others.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1555} BOLERO_RANDOM_SEED=${BOLERO_RANDOM_SEED:-1555}
step "tests (cargo test)"
results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
# --no-fail-fast: the sum below counts all tests, even if an early binary fails.
cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$results" || status=$?

# libtest's last line for each binary: "test result: ok. 3 passed; 1 failed; ...".
read -r passed failed < <(awk '/^test result: / { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$results")
printf '\n%s passed, %s failed\n' "$passed" "$failed"
if [ "$status" != 0 ] || [ "$failed" != 0 ]; then
  [ "$failed" != 0 ] || echo "cargo test ended with status $status" >&2
  exit 1
fi
