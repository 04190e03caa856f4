# What developers and CI run. `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deb demo lint test test-fast test-engines bench bench-door

# Most tests against an engine wait for it most of the time.
export RUST_TEST_THREADS ?= 4

# The engine of $DOCKER_HOST, else this machine's own, started if need be.
engine = if [[ -z $${DOCKER_HOST:-} ]]; then eval "$$(scripts/engine start)"; fi

help: ## lists what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## shows what windlass does: v1, v2, and a broken v3 that does not get through
	scripts/demo

deb: ## makes the Debian package, in target/debian
	scripts/deb release

lint: ## formatting, clippy and documentation, without a warning left
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

test: ## every test; sets up what they need: an engine, Compose, a registry, hosts with systemd
	scripts/setup
	scripts/deb --tools
	$(engine); scripts/systemd-host image; cargo test --locked --no-fail-fast -- $$(tests/engine/left-out default)

test-fast: ## the tests that need no engine
	cargo test --locked --no-fail-fast --lib --test it

test-engines: ## the tests against an engine, with Engine 20.10, 26.1, 28.5 and Podman
	scripts/setup
	scripts/test-engines

bench: ## measures windlass beside its peers, and prints a table
	scripts/bench

bench-door: ## measures how long a good hook waits while a crowd stands in the door
	cargo bench --locked --bench door
