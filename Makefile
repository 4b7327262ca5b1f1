# Warmlake on one machine. `make` alone explains itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PORT ?= 7071
LAKE ?= sample-lake
DATA ?= .data
MODEL ?=
FAULTS ?=
SCENARIO ?= region-loss
DOCUMENTS ?= 60
LAG ?= 8
SEED ?= 1
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
REQUIREMENTS := requirements.txt requirements-local.txt requirements-nodeps.txt requirements-infra.txt

# The make variables are for this file; LAKE and MODEL must not reach child processes as settings.
unexport LAKE MODEL PORT DATA FAULTS

.PHONY: help setup run test test-slow soak check-infra bench bench-peers bench-search bench-history bench-index bench-rebuild bench-chat bench-simulation bench-drill publish pictures drill drill-soak eval lint format settings clean distclean

help: ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv and .tools (the other targets do this by themselves)

$(STAMP): $(REQUIREMENTS) local/setup.sh local/node.py
	@bash local/setup.sh $(VENV)

run: $(STAMP) ## start everything and open the chat on http://localhost:7071 (PORT=, LAKE=folder, MODEL=qwen2.5-1.5b or file.gguf, FAULTS=1)
	@exec $(PY) -m local run --port "$(PORT)" --lake "$(LAKE)" --data "$(DATA)" --model "$(MODEL)" \
		$(if $(FAULTS),--faults)

drill: $(STAMP) ## lose a region, recover in another, measure it (SCENARIO=, DOCUMENTS=, LAG=, SEED=)
	@$(PY) -m local drill --scenario "$(SCENARIO)" --documents "$(DOCUMENTS)" --lag "$(LAG)" --seed "$(SEED)" \
		--json "$(DATA)/drill.json" --html "$(DATA)/drill.html"

drill-soak: $(STAMP) ## the same ten times in a row, each with another seed
	@$(PY) -m bench.drill --scenario "$(SCENARIO)" --documents "$(DOCUMENTS)" --lag "$(LAG)" --seed "$(SEED)" \
		--soak 10 --json "$(DATA)/drill-soak.json"

test: $(STAMP) ## run the tests against the real local services (ALL=1: unchanged suites too)
	@$(PY) -m tests

test-slow: $(STAMP) ## run the tests that take long
	@$(PY) -m pytest -q -m slow

soak: $(STAMP) ## run 20,000 random schedules of events, workers, crashes and faults through the indexer
	@$(PY) -m tests.soak

check-infra: $(STAMP) ## check the templates, scripts and workflows in infra/, scripts/, .github/
	@$(PY) -m tests.infra

bench: $(STAMP) ## run every benchmark (two hours), and say which marks were missed
	@$(PY) -m bench

bench-search: $(STAMP) ## measure the local search service: nDCG, speed beside a bare engine
	@$(PY) -m bench.search

bench-history: $(STAMP) ## replay the edits of a real lake: text embedded again, beside LangChain and LlamaIndex
	@$(PY) -m bench.history

bench-index: $(STAMP) ## measure indexing: pages and chunks a second by stage, an upload until it is found
	@$(PY) -m bench.index

bench-rebuild: $(STAMP) ## measure a whole recovery of 100,000 chunks beside a bare upload of them
	@$(PY) -m bench.rebuild

bench-chat: $(STAMP) ## measure the app's own time for an answer, at 1, 8 and 32 callers
	@$(PY) -m bench.chat

bench-peers: $(STAMP) ## the app beside LangChain, LlamaIndex and a plain script: load, edits, storm, crash, another region
	@$(PY) -m bench.side_by_side

bench-drill: $(STAMP) ## lose a region and recover in another: the drill's figures among the benchmarks
	@$(PY) -m bench.drill

publish: $(STAMP) ## write what the benchmarks measured into docs/benchmarks.md, as tables and plots
	@$(PY) -m bench.publish

pictures: $(STAMP) ## make the pictures in docs/images anew from the running app, and from the last drill's page
	@$(PY) -m tests.web.pictures

eval: $(STAMP) ## measure how good the answers are: retrieval, citations, abstention; say what moved
	@$(PY) -m eval

bench-simulation: $(STAMP) ## fit the model of the rebuild on measured ones, check it on others, draw its curves
	@$(PY) -m bench.simulation

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
