# What a person does with this repository; `make` lists it.
.DEFAULT_GOAL := help
.PHONY: help tools cluster demo test chaos bench fuzz schemathesis fmt lint soak

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## Find or build etcd, kube-apiserver, kubectl, Redis, ... and link them into tools/bin
	@tools/install.sh

cluster: tools ## Keep a local cluster with the CRD and a Redis until Ctrl-C
	@cargo build --locked --workspace --bins
	@exec "$${CARGO_TARGET_DIR:-target}"/debug/local-cluster crds/runtimetenants.yaml

demo: ## See the operator at work on a local cluster; KEEP=1 leaves it up
	@KEEP=$(KEEP) scripts/demo.sh

test: ## Run everything: tools, format, lints, all tests
	@scripts/test.sh

chaos: tools ## Have everything fail in turn that the operator stands on (a part of it is in make test)
	@CHAOS=full cargo test --locked --no-fail-fast --test 'chaos_*' -- --nocapture

soak: tools ## Let random faults happen for SOAK_SECONDS (300); the same SOAK_SEED draws the same faults
	@SOAK_SECONDS=$${SOAK_SECONDS:-300} SOAK_SEED=$${SOAK_SEED:-$$(date +%s)} \
		cargo test --locked --test chaos_redis soak:: -- --nocapture

bench: tools ## Measure the operator with N tenants (1000) against what the API server and Redis allow
	@cargo bench --locked --bench operator

fmt: ## Format the code
	@cargo fmt --all

lint: ## Check format and lints
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fuzz: ## Fuzz configs, numbers and paths for a minute each (FUZZ_SECONDS)
	@BOLERO_RANDOM_TEST_TIME_MS=$$(($${FUZZ_SECONDS:-60} * 1000)) cargo test --quiet --locked --release --test fuzz -- --test-threads=1

schemathesis: tools ## Hold the description of the admin routes against them
	@scripts/schemathesis.sh
