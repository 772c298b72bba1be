# make demo    the whole job on a shipped burst network and real handwriting
# make test    every check, on the Python of `python3`
# make test-whole    the whole lengths of what make test samples: all images, all recordings, more seeds
# make test-pythons    a sample of the tests on the other supported Pythons
# Each makes .venv if there is none, installs the project there (editable, tested versions), and runs.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

# Two test processes of one thread each are faster on two cores than two of two.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check test-whole test-pythons clean

demo: .venv/installed-demo
	$(BIN)/snndeploy demo

test: check

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term --cov-fail-under=95

test-whole: .venv/installed-dev
	$(BIN)/pytest -n $(WORKERS) -m whole

test-pythons:
	WORKERS=$(WORKERS) .ci/test-pythons

.venv/bin/python:
	$(PYTHON) -m venv .venv

# A stamp a set of packages: installed again only when what is asked for has changed.
.venv/installed-demo: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[torch,onnxruntime]'
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev]'
	touch $@ .venv/installed-demo

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
