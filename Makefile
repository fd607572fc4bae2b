# The words for working on Jobreel. CI and pre-commit call the same ones.

VENV := .venv
RUN := $(VENV)/bin/python -m
HOST ?= 127.0.0.1
PORT ?= 8080
UV ?= uv

.DEFAULT_GOAL := help
.PHONY: help setup dev demo serve fmt check quick test chaos bench docs lock clean

help:  ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.base  ## Make .venv with what the service needs; safe to repeat
dev: $(VENV)/.dev  ## The same with what its tests need

$(VENV)/.base: requirements/base.lock pyproject.toml scripts/install.sh
	@scripts/install.sh $(VENV) requirements/base.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml scripts/install.sh
	@scripts/install.sh $(VENV) requirements/dev.lock
	@touch $@ $(VENV)/.base

demo: setup  ## Run real jobs through a service of its own and show what happens
	@$(RUN) jobreel demo

serve: setup  ## Run the service on http://HOST:PORT
	@$(RUN) jobreel serve --host $(HOST) --port $(PORT)

fmt: dev  ## Write the code in its one format
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

check: dev  ## Lint, types, and the arrows between layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) pytest tests/test_architecture.py

quick: dev  ## The tests that take less than five minutes together
	$(RUN) pytest -m "not slow and not chaos"

test: dev  ## Every test but the long fault suite
	$(RUN) pytest -m "not chaos"

chaos: dev  ## The long fault suite
	$(RUN) pytest -m chaos

bench: dev  ## Measure; figures go to bench/results
	$(RUN) bench

docs: dev  ## Write the pages that are made from the code
	$(RUN) scripts.settings_page

LOCKING := --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --quiet

lock:  ## Choose versions anew (needs uv); the lock files hold names, versions and hashes, no addresses
	$(UV) pip compile pyproject.toml requirements/build.in --output-file requirements/base.lock $(LOCKING)
	$(UV) pip compile pyproject.toml requirements/build.in --extra dev --constraint requirements/base.lock \
		--output-file requirements/dev.lock $(LOCKING)

clean:  ## Remove what can be made again; data/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output
