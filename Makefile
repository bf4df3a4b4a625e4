# What a person does with this repository; `make` lists it.
.DEFAULT_GOAL := help
.PHONY: help tools cluster demo test bench fuzz schemathesis chart e2e fmt lint

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## Find or build etcd, kube-apiserver, kubectl, Redis, ... and link them into tools/bin
	@tools/install.sh

cluster: tools ## Keep a local cluster with the CRD and a Redis until Ctrl-C
	@cargo build --locked --workspace --bins
	@exec "$${CARGO_TARGET_DIR:-target}"/debug/local-cluster crds/runtimetenants.yaml

demo: ## See the operator at work on a local cluster; KEEP=1 leaves it up
	@KEEP=$(KEEP) scripts/demo.sh

test: ## Run everything: tools, format, lints, all tests
	@scripts/test.sh

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

chart: ## Check what the Helm chart renders, for every Kubernetes that is supported
	@tools/install.sh chart
	@cargo test --quiet --locked --test chart

e2e: ## Run the Pods of the Helm chart for real, from install to uninstall (Linux)
	@tools/install.sh chart
	@cargo test --quiet --locked --test e2e -- --test-threads=1
