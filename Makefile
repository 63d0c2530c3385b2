# Every target is a thin call into scripts/, which continuous integration calls too.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check prove bench bench-gpu clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## install everything into .venv and node_modules and compile the contracts
	@scripts/setup

demo: setup ## tell the whole story on a local chain: train, cheat, get caught, settle
	@scripts/demo

test: setup ## run all tests, contracts and Python
	@scripts/test

test-long: setup ## run all tests with many more random inputs (three hours or so)
	@scripts/test --long

check: setup ## format, lint, types, dead code, layering, generated files
	@scripts/check

prove: setup ## prove what tests/symbolic says for every input (minutes; installs halmos on the first run)
	@scripts/prove

bench: setup ## measure speed, gas and moves; prints them and writes build/bench.json
	@scripts/bench

bench-gpu: setup ## measure exact against float32, TF32 and bfloat16 on a CUDA device
	@scripts/bench gpu

clean: ## remove what was built (not .venv and node_modules)
	@scripts/clean
