# `make` alone says what there is. Every target makes the environment it needs by itself (scripts/bootstrap.py);
# once made, it starts at once. Nothing is written outside the checkout.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
STACK ?= conversations
AIRFLOW_HOME ?= $(CURDIR)/.airflow
export AIRFLOW_HOME
# Pytest rewrites every test as it is imported, in every worker: seven seconds of each, unless it may keep the outcome.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
# Five workers for two cores, because most tests wait for a process of their own; whole files each, in the order that
# tests/conftest.py gives them. The contract check comes last and waits for the others.
PARALLEL := -n 5 --dist loadfile --no-loadscope-reorder
UNIT = -m "not airflow and not e2e and not cluster and not install$(if $(LATER), and not last)" \
  $(foreach folder,dags e2e cluster install $(if $(LATER),$(OWN_CLOCK)),--ignore tests/$(folder))
WITH_AIRFLOW := $(addprefix tests/,cli dags demo docs hooks operators sensors sources triggers web) $(sort $(wildcard tests/test_*.py))
# Chaos and month have a clock of their own, which begins on the same day every time; bench measures seconds; the contract
# check reads what the others have recorded, whenever that was.
OWN_CLOCK := bench chaos month
WITH_CLOCK := -m "not last" $(foreach folder,$(OWN_CLOCK) cluster e2e install,--ignore tests/$(folder))
IN_400_DAYS := TZ=Europe/Berlin FAKETIME_DONT_FAKE_MONOTONIC=1 PYTHONPATH=$(CURDIR)/tests/later faketime -f +400d
LATER ?=
CLUSTER_VENV ?= .venv-cluster
TYPED := include $(foreach folder,dags plugins tests bench docs/examples,$(if $(wildcard $(folder)/*.py),$(folder)))

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-pythons test-lowest test-next test-later test-install test-cluster chaos kills lint format form bench \
  constraints hashes docs clean run-env dev-env cluster-env

help: ## this list
	@echo "flexsms: Twilio Flex SMS conversations, run by Airflow"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  STACK=…           what the demo plays on, conversations or chat (now: $(STACK))"
	@echo "  ARGS=…            passed on: make demo ARGS=--exit, make test ARGS=tests/core"
	@echo "  LATER=1           make test-lowest and test-next 400 days from now"
	@echo "  PYTHON=…          the Python that makes $(VENV) (3.11 to 3.14; now: $(PYTHON))"
	@echo "  AIRFLOW_HOME=…    now: $(AIRFLOW_HOME)"

demo: run-env ## a real Airflow and a local Twilio; texts sent, tracked, cleaned up (ARGS=--exit: and leave)
	@$(BIN)/flexsms demo --stack $(STACK) $(ARGS)

test: dev-env ## every test
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-unit: dev-env ## the tests that need neither an Airflow database nor a browser
	@$(BIN)/python -m pytest $(PARALLEL) $(UNIT) $(ARGS)

test-pythons: ## the unit tests on Python 3.12, 3.13 and 3.14, where they are installed, with the coverage gate
	@for version in 3.12 3.13 3.14; do \
	  python=$$($(PYTHON) scripts/bootstrap.py --find $$version); \
	  if [ -z "$$python" ]; then \
	    echo "flexsms: no Python $$version on this machine, so the unit tests were NOT run on it"; continue; \
	  fi; \
	  echo "flexsms: the unit tests on Python $$version"; \
	  COVERAGE_CORE=sysmon $(MAKE) --no-print-directory test-unit PYTHON=$$python VENV=.venv-$$version \
	    ARGS="--cov --cov-report=term:skip-covered $(ARGS)" || exit 1; \
	done

test-lowest: ON := 3.12
test-lowest: .venv-lowest/made ## the unit tests with the lowest versions allowed, on Python 3.12, with the coverage gate
	@COVERAGE_CORE=sysmon $(if $(LATER),$(IN_400_DAYS)) .venv-lowest/bin/python -m pytest $(PARALLEL) $(UNIT) --ignore tests/kill \
	  --cov --cov-report=term:skip-covered $(ARGS)

test-next: ON := 3.14 3.13
test-next: .venv-next/made ## the tests that see Airflow with its next release, on the newest Python that is here
	@$(if $(LATER),$(IN_400_DAYS)) .venv-next/bin/python -m pytest $(PARALLEL) $(WITH_AIRFLOW) $(ARGS)

test-later: dev-env ## the tests that see a clock, 400 days from now and where clocks are changed (needs faketime)
	@$(IN_400_DAYS) $(BIN)/python -m pytest $(PARALLEL) $(WITH_CLOCK) $(ARGS)

test-cluster: cluster-env ## a distributed Airflow by docs/deployment, whose workers freeze and die
	@$(CLUSTER_VENV)/bin/python -m pytest -m cluster tests/cluster $(ARGS)

test-install: dev-env ## the wheel beside the oldest, the pinned and the newest Airflow, each in an empty environment; FAB's roles
	@$(BIN)/python -m pytest -n 2 -m install tests/install $(ARGS)

lint: dev-env ## ruff, mypy strict, import-linter, and whether the ranges of requirements*.txt can be met
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(TYPED)
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/resolve.py

format: dev-env ## what ruff can put right by itself
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

form: dev-env ## the form of the Airflow connection again, from the fields of its settings
	@$(BIN)/python scripts/connection_form.py

bench: dev-env ## speed beside a bare loop and the original recipe; 200 posts/s; 100 000 events, with kills; lists; the dashboard
	@AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR $(BIN)/python -m bench $(ARGS)

chaos: dev-env ## random schedules of runs, people and faults in virtual time (ARGS="--schedules 10000 --jobs 2")
	@$(BIN)/python -m tests.chaos $(ARGS)

kills: dev-env ## a broadcast to 5,000 people whose workers and triggerer are killed at 20 random instants
	@AIRFLOW__CORE__LOAD_EXAMPLES=False $(BIN)/python -m tests.kill.broadcast $(ARGS)

UV := $(BIN)/python -m uv --quiet --cache-dir .cache/uv-cache
PIN := $(UV) pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url

constraints: dev-env ## pin everything below requirements*.txt again, for all Pythons; and the tests' other versions
	@head -2 constraints.txt > .cache/constraints.head
	@$(PIN) --upgrade --output-file .cache/constraints.body requirements.txt requirements-dev.txt \
	  requirements-cluster.txt
	@cat .cache/constraints.head .cache/constraints.body > constraints.txt
	@$(MAKE) --no-print-directory hashes
	@$(PIN) --upgrade --resolution lowest-direct --output-file tests/versions/lowest.txt requirements.txt requirements-dev.txt
	@echo "apache-airflow==$$($(BIN)/python scripts/resolve.py --newest)" | \
	  $(PIN) --upgrade --output-file tests/versions/next.txt requirements.txt requirements-dev.txt -

hashes: dev-env ## the pins of constraints.txt again, with the hashes of their files, in constraints-hashed.txt
	@head -3 constraints-hashed.txt > .cache/hashed.head
	@$(PIN) --no-deps --generate-hashes --output-file .cache/hashed.body constraints.txt
	@cat .cache/hashed.head .cache/hashed.body > constraints-hashed.txt

docs: dev-env ## the parts of docs/ that come from the code again
	@PYTHONPATH=. $(BIN)/python -m scripts.docs

clean: ## away with everything the other targets made, also the environments and the demo's Airflow
	@rm -rf .venv .venv-* .airflow .cache .bench .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	  .import_linter_cache .coverage .coverage.* build dist include/flexsms.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

run-env:
	@$(PYTHON) scripts/bootstrap.py --venv $(VENV)

dev-env:
	@$(PYTHON) scripts/bootstrap.py --dev --venv $(VENV)

cluster-env:
	@$(PYTHON) scripts/bootstrap.py --cluster --venv $(CLUSTER_VENV)

# An environment of other versions than constraints.txt has: on the first of the Pythons ON that is here, else on PYTHON.
.venv-lowest/made .venv-next/made: .venv-%/made: tests/versions/%.txt pyproject.toml $(wildcard requirements*.txt) | dev-env
	@python=$$($(PYTHON) scripts/bootstrap.py --find $(ON)); \
	  echo "flexsms: installing tests/versions/$*.txt for $${python:-$(PYTHON)}"; \
	  $(UV) venv --clear --python $${python:-$(PYTHON)} .venv-$*
	@$(UV) pip sync --python .venv-$* $<
	@$(UV) pip install --python .venv-$* --no-deps --editable . && rm -rf include/flexsms.egg-info
	@touch $@
