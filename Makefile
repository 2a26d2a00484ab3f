# One place for every chore. All of it installs into .venv*; the system's Python is only asked to make them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench docs lowest upstream backends e2e e2e-compose sizes clean

help:  ## list what there is to do
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /:/' | while IFS=: read -r n t; do printf '%-12s %s\n' "$$n" "$$t"; done

# A target made by `$(call venv,DIR,WHAT)` has a Python of its own with WHAT installed.
define venv
	@command -v $(PYTHON) >/dev/null || { echo "Missing: $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) can't make virtual environments. Install its venv module (Debian: apt install python3-venv)."; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@$(1)/bin/python $(PIP) $(2) >$(1)/pip.log 2>&1 || { echo "Installing into $(1) failed; is a package index reachable? $$(grep ERROR $(1)/pip.log | tail -n 1 | tr -s " ") (more in $(1)/pip.log)"; exit 1; }
	@touch $@
endef

$(VENV)/.demo: pyproject.toml
	$(call venv,$(VENV),-e '.[demo]')

$(VENV)/.dev: pyproject.toml
	$(call venv,$(VENV),-e '.[test$(COMMA)lint]')

COMMA := ,
LOWEST := -e . langchain-core==1.0.0 langgraph==1.0.0 langchain==1.0.0 pytest pytest-asyncio pytest-timeout hypothesis
.venv-lowest/.lowest: pyproject.toml Makefile
	$(call venv,.venv-lowest,$(LOWEST))

demo: $(VENV)/.demo  ## run a traced chain, no key needed, and see its trace
	@$(BIN)/python examples/callbacks_at_runtime.py

test: $(VENV)/.dev  ## run the tests
	@$(BIN)/python -m pytest

lint: $(VENV)/.dev  ## check format, rules and types
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy

format: $(VENV)/.dev  ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## print what an invocation costs, beside bare spans
	@$(BIN)/python benchmarks/invocations.py

docs: $(VENV)/.dev  ## write docs/telemetry.md from the table of names
	@$(BIN)/python docs/make_telemetry.py

lowest: .venv-lowest/.lowest  ## run the tests that lean on LangChain on its lowest supported version, and LangGraph's
	@.venv-lowest/bin/python -m pytest tests/context $(addprefix tests/scope/test_,parity.py callbacks.py playback.py) -m "not newest"

upstream:  ## run LangChain's own unit tests with our handler in every invocation
	@$(PYTHON) upstream/run.py

backends:  ## bring the real Jaeger and Collector: out of Docker's images, else built with Go (12 minutes the first time)
	@$(PYTHON) e2e/backends.py

e2e: $(VENV)/.dev backends  ## send traces through the real Collector to the real Jaeger and read them back
	@$(BIN)/python -m pytest tests/e2e

e2e-compose: $(VENV)/.dev backends  ## try docker-compose.yml itself, on the Docker engine that runs or (as root) one of Debian's
	@$(BIN)/python -m pytest tests/e2e_compose

sizes: $(VENV)/.dev backends  ## measure the numbers of docs/scaling.md
	@PYTHONPATH=. $(BIN)/python benchmarks/sizes.py

clean:  ## remove what the other targets made
	rm -rf .venv .venv-lowest .venv-upstream .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
