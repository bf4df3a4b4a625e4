#!/usr/bin/env bash
# Runs what make test has no time for: the generators with many more cases, and the upgrade from an older version and back.
#   CASES=1000              odd values files of the chart
#   UPGRADE_FROM=FOLDER     an older state of this repository, with its program in target/release, instead of building it
set -euo pipefail
cd "$(dirname "$0")/.."

# The state from which docs/upgrade.md describes the way.
older=b84abb4
step() { printf '\n==> %s\n' "$*"; }

step "programs (tools/install.sh chart)"
tools/install.sh chart
step "the chart with ${CASES:-1000} odd values files"
CASES=${CASES:-1000} cargo test --locked --test chart odd_values -- --nocapture
step "the contract, the API server and the admin routes on all generated documents"
CASES=10000 cargo test --locked --test agreement

if [ -z "${UPGRADE_FROM:-}" ]; then
  step "the program of $older"
  UPGRADE_FROM=$PWD/target/upgrade-from
  if [ ! -x "$UPGRADE_FROM/target/release/runtime-operator" ]; then
    mkdir -p "$UPGRADE_FROM"
    git archive "$older" | tar -x -C "$UPGRADE_FROM"
    cargo build --quiet --locked --release --bin runtime-operator --manifest-path "$UPGRADE_FROM/Cargo.toml" --target-dir "$UPGRADE_FROM/target"
  fi
fi
export UPGRADE_FROM
step "an upgrade from $UPGRADE_FROM, and back"
cargo test --locked --test e2e an_upgrade -- --ignored --nocapture
