# Warmlake on one machine. `make` alone explains itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PORT ?= 7071
LAKE ?= sample-lake
DATA ?= .data
MODEL ?=
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
REQUIREMENTS := requirements.txt requirements-local.txt requirements-nodeps.txt

# The make variables are for this file; LAKE and MODEL must not reach child processes as settings.
unexport LAKE MODEL PORT DATA

.PHONY: help setup run test test-slow bench-search lint format settings clean distclean

help: ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv and .tools (the other targets do this by themselves)

$(STAMP): $(REQUIREMENTS) local/setup.sh local/node.py
	@bash local/setup.sh $(VENV)

run: $(STAMP) ## start everything and open the chat on http://localhost:7071 (PORT=, LAKE=folder, MODEL=file.gguf)
	@exec $(PY) -m local run --port "$(PORT)" --lake "$(LAKE)" --data "$(DATA)" --model "$(MODEL)"

test: $(STAMP) ## run the tests against the real local services (ALL=1: unchanged suites too)
	@$(PY) -m tests

test-slow: $(STAMP) ## run the tests that take long
	@$(PY) -m pytest -q -m slow

bench-search: $(STAMP) ## measure the local search service: nDCG, speed beside a bare engine
	@$(PY) -m bench.search

lint: $(STAMP) ## check style, types and formatting
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check -q . || { echo "make format puts these files right"; exit 1; }
	@$(VENV)/bin/mypy

format: $(STAMP) ## put style and formatting right where that can be done by itself
	@$(VENV)/bin/ruff check -q --fix . ; $(VENV)/bin/ruff format -q .

settings: $(STAMP) ## bring docs/settings.md and the sample file up to date with the table of settings
	@$(PY) -m local.settings_files

clean: ## remove all data of `make run`, results and caches; what is installed stays
	@rm -rf $(DATA) bench/results .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove what is installed too
	@rm -rf $(VENV) .tools
