# What a person does with this repository; `make` lists it.
.DEFAULT_GOAL := help
.PHONY: help tools cluster demo test chaos bench bench-growth bench-day profile instructions fuzz schemathesis chart e2e fmt lint soak image image-check deny sbom

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## Find or build etcd, kube-apiserver, kubectl, Redis, ... and link them into tools/bin
	@tools/install.sh

cluster: tools ## Keep a local cluster with the CRD and a Redis until Ctrl-C
	@cargo build --locked --package runtime-operator --package local-cluster --bins
	@exec "$${CARGO_TARGET_DIR:-target}"/debug/local-cluster crds/runtimetenants.yaml

demo: ## See the operator at work on a local cluster; KEEP=1 leaves it up
	@KEEP=$(KEEP) scripts/demo.sh

test: ## Run everything: tools, format, lints, all tests
	@scripts/test.sh

chaos: tools ## Have everything fail in turn that the operator stands on (a part of it is in make test)
	@CHAOS=full cargo test --locked --no-fail-fast --test 'chaos_*' -- --nocapture --include-ignored

soak: tools ## Let random faults happen for SOAK_SECONDS (300); the same SOAK_SEED draws the same faults
	@SOAK_SECONDS=$${SOAK_SECONDS:-300} SOAK_SEED=$${SOAK_SEED:-$$(date +%s)} \
		cargo test --locked --test chaos_redis soak:: -- --nocapture

bench: tools ## Measure the operator with N tenants (1000) against the limit; ROWS=flush,restart for some rows only
	@cargo bench --locked --bench operator

bench-growth: tools ## Measure what grows with the number of tenants, for SIZES (300,...,30000)
	@cargo bench --locked --bench operator -- growth

bench-day: tools ## Measure a bad day: edits, rotations and lookups at once on N tenants (10000), and a slow Redis
	@cargo bench --locked --bench operator -- day

profile: ## Draw flame graphs of N tenants (1000) applied at once and of the restart, and list the largest costs (perf)
	@scripts/profile.sh

instructions: tools ## Count the instructions of the pure parts anew, where a change is meant to change them (valgrind)
	@UPDATE=1 cargo test --quiet --locked --workspace --test counts -- --nocapture

fmt: ## Format the code
	@cargo fmt --all

lint: ## Check format and lints
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fuzz: ## Fuzz configs, numbers and paths for a minute each (FUZZ_SECONDS)
	@BOLERO_RANDOM_TEST_TIME_MS=$$(($${FUZZ_SECONDS:-60} * 1000)) cargo test --quiet --locked --release --test fuzz -- --test-threads=1

image: ## Build the image with buildah, on bases made of what is on this machine
	@scripts/image.sh build

image-check: tools ## Run the image's root file system, read-only and not as root, and have it serve a tenant
	@scripts/image.sh check

deny: ## Check licences, sources and advisories of everything that is linked in (cargo-deny)
	@scripts/supply-chain.sh deny

sbom: ## Write down every crate in the program: target/sbom/runtime-operator.cdx.json (CycloneDX)
	@scripts/supply-chain.sh sbom

schemathesis: tools ## Hold the description of the admin routes against them
	@scripts/schemathesis.sh

chart: ## Check what the Helm chart renders, for every Kubernetes that is supported
	@tools/install.sh chart
	@cargo test --quiet --locked --test chart

e2e: ## Run the Pods of the Helm chart for real, from install to uninstall (Linux)
	@tools/install.sh chart
	@cargo test --quiet --locked --test e2e -- --test-threads=1
