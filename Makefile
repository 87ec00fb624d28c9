# Everything from nothing: Python 3.11 or newer and make are enough. Old GNU make (3.81, macOS) and BSD make understand it.

PYTHON = python3
WORKERS = 1
SECONDS = 60
SEED = 1
VENV = .venv
PY = $(VENV)/bin/python
UV_VERSION = 0.13.9
# Beside the packages: uv removes from the environment what the lock file does not name.
TOOLS = $(VENV)/uv-$(UV_VERSION)
# A uv of your own: make UV=uv test
UV = $(TOOLS)/bin/uv
# Compiled once: where Python may not write its bytecode, each worker would compile all it imports at its start, for three seconds.
UV_HERE = UV_PROJECT_ENVIRONMENT=$(VENV) UV_PYTHON=$(PY) UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 $(UV)
STAMP = $(VENV)/.synced
SOURCES = producers worker config tests

.PHONY: help install demo up test lint unit soak chaos simulate bench rate latency format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## Set up .venv from the lock file; done by every other target when needed

$(STAMP): pyproject.toml uv.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "neo-cancel: '$(PYTHON)' is not Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || \
		{ echo "neo-cancel: no virtual environment can be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@command -v $(UV) >/dev/null 2>&1 || $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@command -v $(UV) >/dev/null 2>&1 || $(PY) -m pip install --quiet --target $(TOOLS) uv==$(UV_VERSION)
	@echo "installing what uv.lock names ..."
	@$(UV_HERE) sync --frozen --quiet
	@touch $(STAMP)

demo: $(STAMP) ## Cancel 300 orders against a sandbox broker with faults and compare with the truth; DEMO_JSON=FILE
	@$(PY) -m worker.demo

up: $(STAMP) ## Run Redis, sandbox, worker nodes and Flower until Ctrl-C; WORKERS=N processes a lane
	@$(PY) -m worker.stack --workers $(WORKERS)

test: lint ## Every check that a commit must pass
	@rm -rf var/wheel
	$(UV_HERE) build --wheel --quiet --out-dir var/wheel
	$(PY) tests/check_wheel.py var/wheel
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -q tests/unit
	$(VENV)/bin/coverage report
	$(PY) -m tests.simulation --seed 1 --seeds 9 --jobs 2 --brief
	$(PY) -m tests.simulation --seeds 8 --jobs 2 --brief --only false_status,unsafe_exit,unentitled,not_ended,ended_twice
	$(VENV)/bin/pytest -q -n 3 --dist loadscope -m "not chaos" tests/property tests/simulation tests/integration tests/fault

lint: $(STAMP) ## Lock file, the synchronous twin, ruff, types, import contracts
	$(UV_HERE) lock --check --quiet
	$(PY) tests/sync_twin.py --check
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/mypy
	$(VENV)/bin/basedpyright
	$(VENV)/bin/lint-imports

unit: $(STAMP) ## The quick tests: no server, no worker
	$(VENV)/bin/pytest -q tests/unit

soak: $(STAMP) ## The tests that kill processes and servers for minutes
	$(VENV)/bin/pytest -m chaos tests

chaos: $(STAMP) ## Kill, freeze, cut, drop and double for SECONDS=60 with SEED=1, then compare every order with the truth
	@$(PY) -m tests.chaos --seconds $(SECONDS) --seed $(SEED)

simulate: $(STAMP) ## The order machine in virtual time against adversarial brokers, for SECONDS=60 from SEED=1 on, on two cores
	@$(PY) -m tests.simulation --seconds $(SECONDS) --seed $(SEED) --jobs 2

bench: $(STAMP) ## Measure against rivals in the same run; BENCH_JSON=FILE; a quarter of an hour
	@$(UV_HERE) sync --frozen --quiet --group bench
	@$(PY) -m tests.benchmarks

rate: $(STAMP) ## Count at a broker whether any account is ever above its rate; RATE_JSON=FILE; four minutes
	@$(PY) -m tests.rate

latency: $(STAMP) ## Measure from the broker's "Ok" to the final, verified status; LATENCY_JSON=FILE; three minutes
	@$(PY) -m tests.benchmarks.latency

format: $(STAMP) ## Write the synchronous producer from the asynchronous one, format, mend what ruff can mend
	$(PY) tests/sync_twin.py
	$(VENV)/bin/ruff format $(SOURCES)
	$(VENV)/bin/ruff check --fix $(SOURCES)

clean: ## Remove the environment and every cache; data in var stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist
