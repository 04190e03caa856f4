# What developers and CI run. `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deb demo picture lint test test-fast test-engines test-chaos bench bench-door

# Most tests against an engine wait for it most of the time.
export RUST_TEST_THREADS ?= 4

# The engine of $DOCKER_HOST, else this machine's own, started if need be.
engine = if [[ -z $${DOCKER_HOST:-} ]]; then eval "$$(scripts/engine start)"; fi

help: ## lists what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## shows what windlass does: v1, v2, and a broken v3 that does not get through
	scripts/demo

picture: ## draws docs/demo.svg from what the demo prints
	script --quiet --return --command scripts/demo /dev/null | tr -d '\r' | scripts/picture '3. CI deploys v3' 'That took' >docs/demo.svg

deb: ## makes the Debian package, in target/debian
	scripts/deb release

lint: ## formatting, clippy and documentation, without a warning left
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

test: ## every test; sets up what they need: an engine, Compose, a registry, proxies, hosts with systemd
	scripts/setup proxies
	scripts/deb dev --output target/deb/test.deb
	$(engine); scripts/systemd-host image; cargo test --locked --no-fail-fast -- $$(tests/engine/left-out default)

test-fast: ## the tests that need no engine
	cargo test --locked --no-fail-fast --lib --test it

test-engines: ## the tests against an engine, with Engine 20.10, 26.1, 28.5 and Podman
	scripts/setup
	scripts/test-engines

# Of a long run: SEED=… repeats one, MINUTES=… limits it by time, HOSTS=… is how much happens at the same time.
test-chaos: KILLS ?= $(if $(MINUTES),,1000)
test-chaos: ROUNDS ?= 100
test-chaos: HOSTS ?= 8

test-chaos: ## faults at random moments, for as long as KILLS=1000 kills or MINUTES=… say, and ROUNDS=100 interruptions
	scripts/setup
	$(engine); export CHAOS_SEED=$(SEED) CHAOS_KILLS=$(KILLS) CHAOS_MINUTES=$(MINUTES) CHAOS_ROUNDS=$(ROUNDS) \
	  CHAOS_HOSTS=$(HOSTS); cargo test --locked --test chaos -- --nocapture --test-threads 1 \
	  $$(tests/engine/left-out default)

bench: ## measures windlass beside its peers, and prints a table
	scripts/bench

bench-door: ## measures how long a good hook waits beside many other connections
	cargo bench --locked --bench door
