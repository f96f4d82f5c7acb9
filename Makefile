# `make` alone explains the commands. The machine needs make and Python 3.11 or later with venv; everything else is
# installed into .venv/ from pinned requirements, at first use and whenever those change.

PYTHON ?= python3
PORT ?= 8080
MINUTES ?= 10
ARGS ?=
BACKEND_URL ?=
IMAGE ?= inverting-proxy-agent

# The Python of App Engine (`runtime:` in the yaml files), where this machine has it.
RUNTIME := 3.13
RUNTIME_PYTHON ?= $(firstword $(wildcard \
	$(HOME)/.pyenv/versions/$(RUNTIME)*/bin/python /usr/local/bin/python$(RUNTIME) /usr/bin/python$(RUNTIME)))

DEV := .venv/dev/bin
PYTEST := -m pytest -q --no-header
CORE := wire broker
# What needs neither the emulator, nor another program's environment, nor processes of its own.
SLOW := tests/contract tests/standalone tests/agent tests/system tests/browser
FAST := $(filter-out $(SLOW) tests/vectors,$(patsubst %/,%,$(wildcard tests/[a-z]*/)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

##@ Use

.PHONY: help run run-appengine deploy image agent.pyz
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z.-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/standalone/.installed .venv/agent/.installed ## Proxy, agent and a demo page: PORT=8080, BACKEND_URL=http://… for a server of yours
	@exec $(PYTHON) -m scripts.run --port='$(PORT)' --backend-url='$(BACKEND_URL)'

run-appengine: .venv/appengine/.installed .venv/agent/.installed ## The three App Engine services over the Datastore emulator: PORT=8080 and the two after it
	@exec .venv/appengine/bin/python -m scripts.run_appengine --port='$(PORT)'

deploy: ## To App Engine: PROJECT_ID=…, DRY_RUN=1 only prints the commands
	@$(PYTHON) -m scripts.deploy --project='$(PROJECT_ID)' $(if $(filter-out 0,$(DRY_RUN)),--dry-run)

agent.pyz: .venv/dev/.installed ## The agent in one file, for a machine with Python and nothing else
	@$(DEV)/python -m scripts.build_pyz --output $@

image: ## The agent as a container image: IMAGE=inverting-proxy-agent
	docker build --file agent/Dockerfile --tag '$(IMAGE)' .

##@ Check

.PHONY: check lint lint-js types imports test test-fast test-contract test-standalone test-agent test-system test-browser test-runtime cover
check: lint lint-js types imports test ## All of the following: what CI runs

lint: .venv/dev/.installed ## Style and format
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .

lint-js: ## Style and format of the JavaScript, with npm
	@if command -v npm >/dev/null; then \
		npm ci --silent --no-fund --no-audit --prefix tests/javascript \
			&& npm run --silent --prefix tests/javascript check; \
	else \
		echo "NOT CHECKED: the JavaScript; npm is missing (apt-get install npm)"; \
	fi

types: .venv/dev/.installed ## mypy, strict
	$(DEV)/mypy

imports: .venv/dev/.installed ## Who may import whom
	$(DEV)/lint-imports --no-cache

test: test-fast cover test-contract test-standalone test-agent test-system test-browser test-runtime ## All tests

test-fast: .venv/dev/.installed ## Units, services, packaging
	$(DEV)/python $(PYTEST) -n 2 $(FAST)

cover: .venv/dev/.installed ## Every branch of the core, by its own tests
	@set -e; for package in $(CORE); do \
		(set -x; $(DEV)/python $(PYTEST) tests/unit/$$package --cov=$$package --cov-fail-under=100 \
			--cov-report=term-missing:skip-covered); \
	done

test-contract: .venv/dev/.installed ## The stores' contract, in memory and on the Datastore emulator
	$(DEV)/python $(PYTEST) tests/contract

test-standalone: .venv/dev/.installed .venv/standalone/.installed ## The stand-alone proxy, over loopback
	$(DEV)/python $(PYTEST) tests/standalone

test-agent: .venv/agent-test/.installed ## The agent, with the versions that it ships with
	.venv/agent-test/bin/python $(PYTEST) $(wildcard tests/agent tests/unit/agent)

test-system: tests/openid/node_modules .venv/dev/.installed .venv/standalone/.installed .venv/agent/.installed .venv/appengine/.installed .venv/peers/.installed ## Real processes on loopback
	GRPC_ENABLE_FORK_SUPPORT=0 $(DEV)/python $(PYTEST) tests/system  # the relay to Datastore lives where processes begin

test-browser: tests/openid/node_modules .venv/dev/.installed .venv/standalone/.installed .venv/agent/.installed .venv/appengine/.installed .venv/jupyter/.installed ## Debian's Chromium against pages behind the proxy, JupyterLab among them
	$(DEV)/python $(PYTEST) tests/browser

ifneq ($(RUNTIME_PYTHON),)
test-runtime: .venv/dev-$(RUNTIME)/.installed ## The fast tests under the Python of App Engine
	.venv/dev-$(RUNTIME)/bin/python $(PYTEST) -n 2 $(FAST)
else
test-runtime:
	@echo "NOT RUN: the fast tests under Python $(RUNTIME), App Engine's: this machine has none (RUNTIME_PYTHON=… names one)"
endif

##@ Measure

.PHONY: bench bench-appengine
bench: .venv/dev/.installed .venv/standalone/.installed .venv/agent/.installed ## Proxy and agent beside nginx and ssh -R, with wrk: some minutes; ARGS='--help' says what else
	@$(DEV)/python -m benchmarks $(ARGS)

bench-appengine: .venv/dev/.installed .venv/appengine/.installed .venv/agent/.installed ## The App Engine services over the Datastore emulator, without and with memcached: some minutes; ARGS='--help'
	@GRPC_ENABLE_FORK_SUPPORT=0 $(DEV)/python -m benchmarks.appengine $(ARGS)

.PHONY: soak
soak: .venv/dev/.installed .venv/standalone/.installed .venv/agent/.installed .venv/peers/.installed ## Does an agent grow that works for long? MINUTES=10
	@$(DEV)/python -m benchmarks.soak --minutes '$(MINUTES)'

##@ Develop

.PHONY: fmt lock clean
fmt: .venv/dev/.installed ## Format, and mend what ruff can
	$(DEV)/ruff format .
	$(DEV)/ruff check --fix .

lock: .venv/dev/.installed ## Pin the newest versions that requirements*.in allow
	@set -e; for file in $$(git ls-files '*requirements*.in'); do \
		(set -x; $(DEV)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
			"$$file" --output-file "$${file%.in}.txt"); \
	done

clean: ## Remove environments and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The OpenID provider of the tests; without npm they are skipped, and say so.
tests/openid/node_modules: tests/openid/package-lock.json
	@if ! command -v npm >/dev/null; then :; \
	elif npm ci --silent --no-fund --no-audit --prefix tests/openid; then \
		touch $@; \
	else \
		rm -rf $@; \
		echo "NOT INSTALLED: the tests' OpenID provider; why, says: npm ci --prefix tests/openid"; \
	fi

# Environments: one for each program, with its own pinned requirements and nothing else.

.venv/standalone/.installed: standalone/requirements.txt
.venv/agent/.installed: agent/requirements.txt
.venv/appengine/.installed: requirements.txt
.venv/dev/.installed: tests/requirements.txt
.venv/agent-test/.installed: tests/requirements-agent.txt
.venv/peers/.installed: tests/system/requirements.txt
.venv/jupyter/.installed: tests/browser/requirements-jupyter.txt
.venv/dev-$(RUNTIME)/.installed: tests/requirements.txt
.venv/dev-$(RUNTIME)/.installed: override PYTHON := $(RUNTIME_PYTHON)

.venv/%/.installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; $(PYTHON) is "\
		+ sys.version.split()[0] + ". Name another: make PYTHON=python3.13 …")'
	@echo "Installing $(filter %.txt,$^) into .venv/$*"
	@test -x .venv/$*/bin/pip || $(PYTHON) -m venv .venv/$*
	@.venv/$*/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-virtualenv \
		--requirement $(filter %.txt,$^)
	@touch $@
