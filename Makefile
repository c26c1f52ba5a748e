# `make help` lists everything. The tests need root and a Linux kernel; they install what they miss.
PYTHON := .venv/bin/python
JOBS ?= 2
RERUNS ?= 0
PYTEST := $(PYTHON) -m pytest -n $(JOBS) --reruns $(RERUNS) --max-suite-reruns 3 --rerun-show-tracebacks

.PHONY: help setup check lint types imports unit test kernel compat explore bench clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup:  ## Set the checkout up with everything that the targets below need
	@scripts/setup dev

check: lint types imports unit  ## Lint, types, import contracts and unit tests, in under a minute

lint: setup  ## ruff: rules and format
	.venv/bin/ruff check src tests bench scripts
	.venv/bin/ruff format --check src tests bench scripts

types: setup  ## pyright, strict
	.venv/bin/pyright src

imports: setup  ## The floors and the other import contracts
	.venv/bin/lint-imports

unit: setup  ## Unit tests: no root, no network
	$(PYTEST) --ignore tests/kernel --ignore tests/contracts --ignore tests/compat --ignore tests/stories tests

kernel: setup  ## Tests on the real kernel, as root
	$(PYTEST) tests/kernel tests/contracts tests/stories

compat: setup  ## The same scripts against dockerd and Holdfast
	$(PYTEST) tests/compat

test: check kernel compat  ## Everything

explore: setup  ## The property tests with examples that nobody has tried; what they find becomes a test
	HYPOTHESIS_PROFILE=explore $(PYTEST) -m hypothesis --ignore tests/compat tests

bench: setup  ## Side by side with a real dockerd; prints a table of medians and ratios
	$(PYTHON) bench/run.py

clean:  ## Remove the environment and caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
