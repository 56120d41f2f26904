# Every target does the set-up that it needs; `make help` lists them.

PYTEST ?= -n 2 --dist loadgroup
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help setup verify test check lint types contracts format golden golden-update bench \
	ngspice browser constraints dist clean

help:  ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: .venv/stamp .tools/stamp  ## The Python environment in .venv, the compiled kernel, a simulator

verify: setup  ## Simulate every golden case and compare it with its reference
	$(BIN)/kcompile verify

test: setup browser  ## Run the tests (PYTEST="-k name" replaces its arguments)
	$(BIN)/python -m pytest $(PYTEST)

check: lint types contracts test  ## All that must pass before a commit lands

lint: .venv/stamp  ## Check style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/stamp  ## Check types
	$(BIN)/pyright

contracts: .venv/stamp  ## Check which package imports which
	$(BIN)/lint-imports

format: .venv/stamp  ## Mend what style checks can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

golden: verify  ## The same as verify: run the golden cases

golden-update: setup  ## Write the golden cases anew from their recipes
	$(BIN)/kcompile golden --update

bench: setup  ## Measure ours against the baselines; writes bench.json
	$(BIN)/python -m benchmarks

ngspice:  ## Put a current ngspice (KLU, OSDI) into .tools where the system's is older than 45
	@$(require-python)
	@$(PYTHON) scripts/fetch_ngspice.py

browser:  ## Put a headless Chromium, in which tests look at HTML reports, on a Debian system
	@sh scripts/system_packages.sh browser

constraints: .venv/stamp  ## Write constraints.txt anew from the environment in .venv
	@sed '/^[^#]/,$$d' constraints.txt > constraints.new
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' >> constraints.new
	@mv constraints.new constraints.txt

dist: .venv/stamp  ## Build the wheel and the source distribution into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean:  ## Remove what was built and cached (.venv and .tools stay)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . \( -name .venv -o -name .tools -o -name .git \) -prune -o \
		-name __pycache__ -type d -exec rm -rf {} +

# The CPU build of torch comes first and by its exact version: asked for in any other way, torch
# may bring gigabytes of GPU libraries.
.venv/stamp: pyproject.toml constraints.txt CMakeLists.txt $(wildcard kcompile/*/native/*)
	@$(require-python)
	@sh scripts/system_packages.sh compiler
	@echo "Python environment in .venv"
	@$(PYTHON) -m venv .venv
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) scikit-build-core cmake ninja
	@$(PIP) --no-build-isolation --editable '.[train,pyspice,dev]'
	@touch $@

.tools/stamp: scripts/system_packages.sh scripts/fetch_ngspice.py
	@$(require-python)
	@sh scripts/system_packages.sh ngspice
	@$(PYTHON) scripts/fetch_ngspice.py
	@command -v ngspice >/dev/null || test -x .tools/ngspice/bin/ngspice \
		|| test -n "$$KCOMPILE_NGSPICE" || { echo "error: no ngspice; see the warnings" >&2; exit 1; }
	@mkdir -p .tools && touch $@

require-python = test -n "$(PYTHON)" || { \
	echo "error: no Python 3.11 or later with venv; install one (Debian: python3 python3-venv)" >&2; \
	exit 1; }
