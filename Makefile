# The tasks of this repository; `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help tools cluster demo test test-redis proofs site chaos bench bench-growth bench-day bench-attack profile instructions fuzz schemathesis chart e2e fmt lint soak image image-check deny sbom prose

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## Find or build etcd, kube-apiserver, kubectl, Redis, ... and link them into tools/bin
	@tools/install.sh

cluster: tools ## Run a local cluster with the CRD and a Redis until Ctrl-C
	@cargo build --locked --package runtime-operator --package local-cluster --bins
	@exec "$${CARGO_TARGET_DIR:-target}"/debug/local-cluster crds/runtimetenants.yaml

demo: ## Show the operator on a local cluster; KEEP=1 keeps it running
	@KEEP=$(KEEP) scripts/demo.sh

test: ## Check everything: format, lints, prose, all tests
	@scripts/test.sh

test-redis: tools ## Test with another Redis: REDIS=valkey-8.1, valkey-8.0, redis-8.0 or redis-7.0 (Debian packages, not installed)
	@TEST_REDIS_SERVER=$$(tools/redis.sh $(REDIS)); export TEST_REDIS_SERVER; "$$TEST_REDIS_SERVER" --version; \
		cargo test --locked --no-fail-fast --test store --test drift --test outage --test leadership --test chaos_redis

proofs: ## Run the generators with more cases (CASES=1000 of the chart), and upgrade from an older version and back (UPGRADE_FROM)
	@tools/install.sh chart
	@scripts/proofs.sh

chaos: tools ## Inject a fault at every side effect and in every dependency (make test runs a part of it)
	@CHAOS=full cargo test --locked --no-fail-fast --test 'chaos_*' -- --nocapture --include-ignored

soak: tools ## Inject random faults for SOAK_SECONDS (300); the same SOAK_SEED repeats the same faults
	@SOAK_SECONDS=$${SOAK_SECONDS:-300} SOAK_SEED=$${SOAK_SEED:-$$(date +%s)} \
		cargo test --locked --test chaos_redis soak:: -- --nocapture

bench: tools ## Measure the operator with N tenants (1000) against the limit; ROWS=flush,restart selects rows
	@cargo bench --locked --bench operator

bench-growth: tools ## Measure the growth with the number of tenants, for SIZES (300,...,30000)
	@cargo bench --locked --bench operator -- growth

bench-day: tools ## Measure a bad day: concurrent edits, rotations and lookups on N tenants (10000), and a slow Redis
	@cargo bench --locked --bench operator -- day

bench-attack: tools ## Measure memory and fairness under attack; SCALE=0.1 makes the largest attacks smaller
	@cargo bench --locked --bench operator -- attack

profile: ## Draw flame graphs of a bulk apply of N tenants (1000) and of a restart, and list the largest costs (perf)
	@scripts/profile.sh

instructions: tools ## Update the instruction counts of the pure modules after an intended change (valgrind)
	@UPDATE=1 cargo test --quiet --locked --workspace --test counts -- --nocapture

fmt: ## Format the code
	@cargo fmt --all

lint: ## Check format and lints
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

prose: ## Check the prose of README, docs, chart and examples (vale)
	@tools/install.sh prose
	@scripts/prose.sh

site: ## Build the documentation as a site, target/site (mkdocs)
	@scripts/site.sh

fuzz: ## Fuzz configs, DIDs and paths for a minute each (FUZZ_SECONDS)
	@BOLERO_RANDOM_TEST_TIME_MS=$$(($${FUZZ_SECONDS:-60} * 1000)) cargo test --quiet --locked --release --test fuzz -- --test-threads=1

image: ## Build the image with buildah, on base images made from this machine's files
	@scripts/image.sh build

image-check: tools ## Run the image's root file system, read-only and not as root, and publish a tenant with it
	@scripts/image.sh check

deny: ## Check licences, sources and advisories of all dependencies (cargo-deny)
	@scripts/supply-chain.sh deny

sbom: ## List every crate in the program: target/sbom/runtime-operator.cdx.json (CycloneDX)
	@scripts/supply-chain.sh sbom

schemathesis: tools ## Test the admin routes against their OpenAPI description
	@scripts/schemathesis.sh

chart: ## Check the rendered Helm chart for every supported Kubernetes version
	@tools/install.sh chart
	@cargo test --quiet --locked --test chart

e2e: ## Run the Pods of the Helm chart, from install to uninstall (Linux)
	@tools/install.sh chart
	@cargo test --quiet --locked --test e2e -- --test-threads=1
