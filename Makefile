# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
# Tested by: CI runs `make test`; the demo asserts its own results.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# A fresh rustup has put cargo where no login shell has looked yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

# The newest releases that build with the compiler rust-toolchain.toml names.
CARGO_DENY := 0.20.2
BUF := 1.75.0

TOOLS := target/tools
SETUP := deploy/host/setup.sh
# One build serves both: which planted bug is active, if any, is chosen at run time.
SIMULATION := cargo run --quiet --locked --release -p dockmgr-simulation --features mutants --

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: ## Set up this machine, build, and run real jobs on a cluster of two workers
	deploy/demo.sh

.PHONY: test
test: ## Everything CI checks: formatting, lints, docs, and all tests on real etcd and Docker
	$(SETUP) --build --test --docker
	deploy/test.sh

.PHONY: build
build: ## Compile the three programs into target/debug
	$(SETUP) --build
	cargo build --locked --workspace --bins

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: lint
lint: ## Formatting and lints, without changing anything
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: doc
doc: ## Build the API documentation; a broken link fails
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

.PHONY: unit
unit: ## Tests that need neither etcd nor Docker
	cargo test --locked -p dockmgr-core -p dockmgr-archive -p dockmgr-proto -p dockmgr-support -p dockmgr-client

.PHONY: conformance
conformance: ## One suite on every store, one on every container runtime
	$(SETUP) --build --test --docker
	deploy/test.sh cargo test --locked -p dockmgr-coordinator -p dockmgr-worker --no-fail-fast conformance

.PHONY: cluster
cluster: ## The cluster and command line tests on a real etcd and Docker
	$(SETUP) --build --test --docker
	cargo build --locked --workspace --bins
	deploy/test.sh cargo test --locked -p dockmgr-tests --no-fail-fast

.PHONY: soak
soak: ## The long versions of the real-Docker tests: 300 containers for each kind of fault, on both stores
	$(SETUP) --build --test --docker
	cargo build --locked --workspace --bins
	DOCKMGR_FULL=1 deploy/test.sh cargo test --locked -p dockmgr-tests --no-fail-fast --test docker

# What all measurements need: programs and measurement optimised. The embedded store and etcd are both measured.
BENCH = $(SETUP) --build --test && cargo build --locked --release -p dockmgr-coordinator -p dockmgr-worker -p dockmgr-cli --bins && \
	cargo bench --locked -p dockmgr-tests

.PHONY: bench
bench: ## Every measurement, one table each; docs/benchmarks.md has results
	$(BENCH) --no-run
	for part in recovery memory heartbeat hostile adoption failover logs; do $(MAKE) --no-print-directory bench-$$part || failed=1; done; [ -z "$$failed" ]

.PHONY: bench-recovery
bench-recovery: ## How long a killed coordinator takes to answer with 100,000 tasks in its store
	$(BENCH) --bench recovery

.PHONY: bench-memory
bench-memory: ## Memory of a leader with 100,000 queued jobs, of a worker with 100 attempts that write
	$(BENCH) --bench memory

.PHONY: bench-heartbeat
bench-heartbeat: ## Heartbeats while 200 log readers stand still and 300 MB/s of output come
	$(BENCH) --bench heartbeat

.PHONY: bench-hostile
bench-hostile: ## Submits beside 4,000 silent connections and floods
	$(BENCH) --bench hostile

.PHONY: bench-adoption
bench-adoption: ## How long a killed worker takes to have 100 running containers back
	$(SETUP) --docker
	$(BENCH) --no-run
	deploy/test.sh cargo bench --locked -p dockmgr-tests --bench adoption

.PHONY: bench-failover
bench-failover: ## How long nobody leads after kill -9 of the leader under load: 20 trials, the worst counts
	$(BENCH) --bench failover

.PHONY: bench-logs
bench-logs: ## Output: on its way, beside docker logs; sealed and searched, beside zstd and ripgrep: [TEXT=FILE] [MIB=n] [GIB=n]
	$(SETUP) --docker
	$(BENCH) --bench output; way=$$?; \
	$(if $(TEXT),TEXT=$(abspath $(TEXT))) $(if $(MIB),MIB=$(MIB)) $(if $(GIB),GIB=$(GIB)) \
		cargo bench --locked -p dockmgr-archive --bench logs && [ $$way = 0 ]

.PHONY: crash-points
crash-points: ## Kills a coordinator before every call that changes a file
	$(SETUP) --build --test
	cargo build --locked --bins -p dockmgr-coordinator -p dockmgr-worker -p dockmgr-cli
	DOCKMGR_FULL=1 cargo test --locked -p dockmgr-tests --test crash_points -- --nocapture --test-threads 1

# What make chaos runs; SEED is random, and printed, unless given.
MINUTES ?= 5
PROFILE ?= both

.PHONY: chaos
chaos: ## Seeded faults against a cluster of real processes: MINUTES=n [SEED=x] [PROFILE=fake|docker|both]
	$(SETUP) --build --test --docker
	cargo build --locked --workspace --bins
	$(if $(filter 0,$(shell id -u)),env,sudo -E env) "PATH=$$PATH:/usr/sbin:/sbin" \
	  $(or $(CARGO_TARGET_DIR),target)/debug/dockmgr-chaos --minutes $(MINUTES) --profile $(PROFILE) $(if $(SEED),--seed $(SEED))

.PHONY: sim
sim: ## Simulated clusters under faults: SEEDS=n worlds from SEED=x on (default 10000, random); SEEDS=1 replays one, TRACE=1 tells all, ALL=1 goes on after failures
	$(SETUP) --build
	$(SIMULATION) --seeds $(or $(SEEDS),10000) $(if $(SEED),--seed $(SEED)) $(if $(TRACE),--trace) $(if $(ALL),--all) $(if $(THREADS),--threads $(THREADS))

.PHONY: sim-mutants
sim-mutants: ## Does the simulation find planted bugs? Each must be caught within 2,000 seeds; MUTANT=Name tries one
	$(SETUP) --build
	$(SIMULATION) --mutants $(if $(SEED),--seed $(SEED)) $(if $(MUTANT),--only $(MUTANT))

.PHONY: docker-test
docker-test: ## The tests of the worker, real Docker included
	$(SETUP) --build --test --docker
	deploy/test.sh cargo test --locked -p dockmgr-worker --no-fail-fast

.PHONY: deny
deny: cargo-deny ## Bans, licences and sources of the dependency tree
	cargo-deny --locked check bans licenses sources

.PHONY: advisories
advisories: cargo-deny ## Known vulnerabilities; needs the public advisory database
	@cargo-deny --locked check advisories || { \
	  echo "advisories: not clean, or (see above) the public advisory database could not be reached and nothing was checked" >&2; \
	  exit 1; }

.PHONY: cargo-deny
cargo-deny:
	@[ "$$(cargo-deny --version 2>/dev/null)" = "cargo-deny $(CARGO_DENY)" ] || { \
	  echo "will install cargo-deny $(CARGO_DENY) with cargo (about six minutes on two cores, once)"; \
	  cargo install --locked --version $(CARGO_DENY) --target-dir target/cargo-deny cargo-deny && rm -rf target/cargo-deny; }

.PHONY: lint-proto
lint-proto: $(TOOLS)/node_modules/.bin/buf ## Lint the API definition with buf; compare it with main where there is one
	cd proto && ../$< lint
	@if git rev-parse -q --verify origin/main:proto >/dev/null 2>&1; then \
	  cd proto && ../$< breaking --against '../.git#ref=origin/main,subdir=proto'; \
	else echo "lint-proto: no origin/main to compare with, compatibility not checked"; fi

$(TOOLS)/node_modules/.bin/buf:
	@echo "will install buf $(BUF) into $(TOOLS) with npm"
	@command -v npm >/dev/null || { echo "lint-proto: npm is missing: apt-get install npm" >&2; exit 1; }
	npm install --silent --no-audit --no-fund --no-save --prefix $(TOOLS) @bufbuild/buf@$(BUF)

.PHONY: clean
clean: ## Remove everything that was built, the demo's data too
	cargo clean
