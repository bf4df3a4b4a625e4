#!/usr/bin/env bash
# Runs everything that must hold before a change goes in, and ends with one line: how many tests passed and failed.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n==> %s\n' "$*"; }

command -v cargo >/dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }

step "programs of the local cluster and of the chart (tools/install.sh chart)"
tools/install.sh chart
step "format (cargo fmt)"
cargo fmt --all --check
step "lints (cargo clippy)"
cargo clippy --workspace --all-targets --locked -- -D warnings

# The same cases each time, so that what fails here fails again; `make fuzz` draws others.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1555} BOLERO_RANDOM_SEED=${BOLERO_RANDOM_SEED:-1555}
step "tests (cargo test)"
results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
# Every test binary runs, whether or not an earlier one failed, so that the sum is that of all tests.
cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$results" || status=$?

# The line by which libtest ends each binary: "test result: ok. 3 passed; 1 failed; ...".
read -r passed failed < <(awk '/^test result: / { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$results")
printf '\n%s passed, %s failed\n' "$passed" "$failed"
if [ "$status" != 0 ] || [ "$failed" != 0 ]; then
  [ "$failed" != 0 ] || echo "cargo test ended with status $status" >&2
  exit 1
fi
