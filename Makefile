# The front door. Every target is one line of shell; the logic lives in Python.
.DEFAULT_GOAL := help
.PHONY: help install demo test chaos load lint format lock bench clean

SHELL := /bin/sh
BIN := .venv/bin
ARGS ?=
# Any Python starts the installer; it looks for 3.11 or newer by itself and says so when there is none.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,$(shell command -v $(name) 2>/dev/null)) no-python-found)

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: ## Make the virtual environment with the pinned dependencies (instant when nothing changed)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null || { echo "erpflow needs Python 3.11 or newer, and '$(PYTHON)' is none. Install Python 3.11 or newer, or name one: make $@ PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) stack/install.py

demo: install ## Run everything on this machine and sync the demo data (ARGS=--exit: end after the summary)
	@$(BIN)/python -m stack demo $(ARGS)

test: install ## Run the whole test suite (ARGS=tests/unit: a part of it)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --no-loadscope-reorder $(ARGS)

chaos: install ## Kill, cut off and mislead for a long time, and check that nothing is lost (ARGS=--help: the choices)
	@$(BIN)/python -m tests.chaos $(ARGS)

load: install ## Send webhooks at a steady rate while Airflow runs and things are killed (ARGS=--help: the choices)
	@$(BIN)/python -m tests.load $(ARGS)

lint: install ## Check style, types, the direction of imports, module sizes and the lock
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python .ci/check_modules.py
	@$(BIN)/python .ci/check_lock.py

format: install ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lock: install ## Resolve requirements.in into the exact pins of requirements.txt (needs the network)
	@$(BIN)/uv pip compile requirements.in -o requirements.txt --python-version 3.11 --universal --no-emit-index-url --no-annotate --quiet
	@$(PYTHON) stack/install.py

bench: install ## Measure the pull job beside its peers (ARGS=--help: the choices)
	@$(BIN)/python -m bench $(ARGS)

clean: ## Remove the demo's data and all caches (the virtual environment stays)
	@$(PYTHON) stack/clean.py
