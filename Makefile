# Descent: `make run` sets up and starts the app, `make test` sets up and runs every check, `make test-integrations` those that need
# other programs' libraries.

PYTHON ?= python3
BIN := .venv/bin
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: run test test-integrations test-frameworks setup setup-test lint bench bench-live bench-forecast bench-doctor bench-diagnosis bench-probe bench-range bench-tables mutants soak attack lock screenshot architecture clean bench-map

run: setup
	$(BIN)/streamlit run app.py

test: setup-test lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-integrations: .venv/installed-integrations
	$(BIN)/python -m pytest tests/integrations

# PyTorch and Keras are large: they have an environment of their own
test-frameworks: .venv-frameworks/installed
	KERAS_BACKEND=jax .venv-frameworks/bin/python -m pytest tests/integrations

setup: .venv/installed

setup-test: .venv/installed-test
	@command -v chromium >/dev/null || { $(ROOT) apt-get update && $(ROOT) apt-get install -y --no-install-recommends chromium; }

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: setup
	$(BIN)/python -m core bench

soak: setup
	$(BIN)/python -m benchmarks.soak

attack: setup-test
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.attack

# What servers install, from requirements.txt
lock: setup
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements.txt --output-file requirements.lock

# Breaks lines, one at a time, to see whether tests notice
mutants: setup-test
	$(BIN)/python -m benchmarks.mutants

bench-live: setup-test
	$(BIN)/python -m benchmarks.live

bench-forecast bench-doctor bench-diagnosis bench-probe bench-map: bench-%: setup
	$(BIN)/python -m benchmarks.$*

bench-range: setup
	$(BIN)/python -m benchmarks.range_test

bench-tables: setup-test
	$(BIN)/python -m benchmarks.tables

screenshot: setup-test
	$(BIN)/python -m benchmarks.screenshot

architecture: setup
	$(BIN)/python -m benchmarks.architecture

clean:
	rm -rf .venv .venv-frameworks

# Debian ships venv apart from Python: install it where it is missing.
$(BIN)/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; $(ROOT) apt-get update && $(ROOT) apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }

.venv/installed: requirements.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/installed-test: requirements-test.txt requirements.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@ .venv/installed

.venv-frameworks/installed: requirements-frameworks.txt requirements-integrations.txt requirements-test.txt requirements.txt
	$(PYTHON) -m venv .venv-frameworks
	.venv-frameworks/bin/pip install --quiet --disable-pip-version-check -r requirements-frameworks.txt
	touch $@

.venv/installed-integrations: requirements-integrations.txt requirements-scale.txt .venv/installed-test
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-integrations.txt
	touch $@
