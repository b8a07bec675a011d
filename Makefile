# `make help` lists what there is. Everything runs in $(VENV), which `make setup` makes and repairs.

# What makes .venv: PYTHON=/path/to/python3.11, or the first of these that is new enough.
PYTHON ?=
PYTHONS := python3.11 python3.12 python3.13 python3
# Room that a fresh install needs; 0 switches the check off.
MIN_FREE_GIB ?= 9
# Another Python beside the usual one: make test-fast PYTHON=python3.13 VENV=.venv-3.13
VENV ?= .venv
# Processes that share the tests.
WORKERS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PYTEST_ARGS ?=
# Byte code is kept, also where the environment says otherwise: without it each run and each process compiles all again.
test test-fast test-e2e coverage: export PYTHONDONTWRITEBYTECODE =
PYTEST = $(VENV)/bin/pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: setup typings fmt lint type picture test test-fast test-e2e coverage check build demo demo-processes help clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=..., VENV=$(VENV), MIN_FREE_GIB=$(MIN_FREE_GIB), WORKERS=$(WORKERS), PYTEST_ARGS=..."
	@echo "To start afresh: rm -rf $(VENV)"

setup:  ## Make or repair .venv with everything in it (about 6 GiB)
	@$(VENV)/bin/python -I tools/bootstrap.py --venv $(VENV) --check 2>/dev/null && exit; \
	python='$(PYTHON)'; \
	for candidate in $(PYTHONS); do \
		[ -z "$$python" ] && $$candidate -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
			&& python=$$candidate; \
	done; \
	python="$${python:-python3}"; \
	command -v "$$python" >/dev/null || { \
		echo "setup: error: there is no $$python here; install Python 3.11, or name one: make setup PYTHON=/path/to/python3.11" >&2; \
		exit 2; }; \
	"$$python" tools/bootstrap.py --venv $(VENV) --min-free-gib $(MIN_FREE_GIB)

typings: setup  ## Links that show the type checkers one package
	@$(VENV)/bin/python tools/link_typings.py

fmt: setup  ## Format, and mend what the linter can mend
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lint: setup  ## Linter and format, nothing changed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

type: typings  ## mypy, strict
	$(VENV)/bin/mypy

picture: setup  ## Draw the folders and their imports anew in docs/architecture.md
	@$(VENV)/bin/python -m tools.import_picture

test: setup  ## All tests: unit, contract and end to end
	$(PYTEST)

test-fast: setup  ## Unit and contract tests without the slow ones, for every save
	$(PYTEST) -m "not e2e and not slow" tests/unit tests/contract

test-e2e: setup  ## Only the end-to-end tests
	$(PYTEST) -m e2e

coverage: setup  ## All tests under coverage.py, processes that they start included; prints what is not covered
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

check: lint type test  ## What continuous integration runs

build: setup  ## The wheel, into dist/
	$(VENV)/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist .

demo: setup  ## Masks following a sentence through a made-up video, into demo/
	$(VENV)/bin/ssa-stream demo --out demo

demo-processes: setup  ## The same with a process a node, and a subscriber that prints what a robot would see
	@$(VENV)/bin/ssa-stream demo --out demo --placement processes

clean:  ## Delete everything made, except environments
	rm -rf typings demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
