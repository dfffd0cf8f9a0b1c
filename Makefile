# What one does with this project; `make` alone lists it.
# Needs Python 3.11 or later and make; Node.js for Postman and two outside validators,
# a JDK and Maven for HL7's own validator.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz torture bench wheels check format lint types imports spelling security audit postman profiles clean

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export PORT ?= 8080
export SANDBOX_PORT ?= 8090
SLOTS ?= 100000
# of make torture: sqlite, postgresql or all
export DATABASE ?= sqlite
export BOOKINGS ?= 10000
export KILLS ?= 500
# words from the names of classes of bad input, for make fuzz; no more tries a class than
CLASSES ?=
export FUZZ_TRIES ?= 1000000
# words from the names of guards, for make guards
GUARDS ?=
# The programs that tests start read compiled modules.
unexport PYTHONDONTWRITEBYTECODE
# pytest's own options, as in: make test TESTS='tests/web -k paging'
TESTS ?=

help: ## list what one can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment with everything that is needed

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; give it as PYTHON=…"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON): a minute or two, for some 100 MB …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment: install its venv module"; exit 1; }
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## run gateway, worker and simulated regions until Ctrl-C
	@exec $(BIN)/fhir-gateway demo --slots $(SLOTS)

test: $(READY) ## run every test
	@$(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(TESTS)

guards: $(READY) ## take each guard out of a copy, see that its suite notices: GUARDS
	@PYTHONPATH=tests $(BIN)/python -m guards.remove $(GUARDS)

torture: $(READY) ## book under faults and kills until it hurts: BOOKINGS, KILLS, DATABASE, SEED
	@PYTHONPATH=tests $(BIN)/python -m faults.chaos

fuzz: $(READY) ## send bad input of every class until something breaks: CLASSES, FUZZ_TRIES, SEED
	@PYTHONPATH=tests $(BIN)/python -m fuzz.run $(CLASSES)

bench: $(READY) ## measure what searches cost, as ratios to a floor
	@$(BIN)/python -m bench.run

check: lint types imports spelling security ## format, lint, types, layers, spelling, bandit

format: $(READY) ## format the code
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lint: $(READY)
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports

spelling: $(READY)
	@$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md docs fhir_gateway tests

security: $(READY)
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive fhir_gateway .ci

audit: $(READY) ## look for pinned packages with known vulnerabilities
	@test -x $(VENV)/audit/bin/pip-audit || { $(BIN)/python -m venv $(VENV)/audit && \
		$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	@$(BIN)/python .ci/audit.py $(VENV)/audit/bin/pip-audit constraints.txt

postman: ## run the Postman collection against a running demo
	@if command -v npm >/dev/null; then \
		for url in http://127.0.0.1:$(PORT)/health http://127.0.0.1:$(SANDBOX_PORT)/health; do \
			node -e 'fetch(process.argv[1]).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))' $$url || \
			{ echo "Nothing answers at $$url: run make demo in another terminal first, with the same PORT and SANDBOX_PORT"; exit 1; }; \
		done; \
		npm --prefix tests/postman ci --silent && \
		npm --prefix tests/postman run --silent postman -- \
			--env-var base_url=http://127.0.0.1:$(PORT)/fhir \
			--env-var sandbox_url=http://127.0.0.1:$(SANDBOX_PORT); \
	else \
		echo "Postman run skipped: npm is missing; install Node.js 20 or later"; \
	fi

wheels: $(READY) ## check that nothing pinned is compiled: Python 3.11 to 3.14, x86-64 and arm64
	@for machine in x86_64 aarch64; do for python in 3.11 3.12 3.13 3.14; do \
		echo "Python $$python, $$machine"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--dry-run --ignore-installed --no-deps --target $(VENV)/wheels \
			--only-binary :all: --python-version $$python \
			--platform manylinux2014_$$machine --platform manylinux_2_28_$$machine \
			--requirement constraints.txt || exit 1; \
	done; done

profiles: $(READY) ## write profiles/' ConceptMaps of the sandbox anew, and build/package.tgz
	@$(BIN)/fhir-gateway sandbox-sources --to profiles --maps-only
	@$(BIN)/fhir-gateway profiles-package --to build/package.tgz

clean: ## remove everything that can be made again
	rm -rf $(VENV) .fhir-gateway .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf tests/validators/node_modules tests/validators/hl7/target tests/postman/node_modules
