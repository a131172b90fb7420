# Every target says in the comment above it what it is for; `make help` lists them.
# All that is installed goes into .venv, from the locks in requirements/, checked by hash.

PYTHON ?= python3
SEEDS ?= 2000
TIMES ?= 20
WORKERS ?= 5
SAMPLE ?= 0.5
CASES ?= 5000
CHANGES ?= 10000
BIN := .venv/bin
# A file stays with one worker, and long ones begin first. More workers than cores use what is left while others wait.
SHARED_OUT = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
QUICK := tests/policy tests/oracle tests/ledger tests/projections tests/schedules tests/test_architecture.py
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"

# Python keeps what it compiled, also where an image told it not to: otherwise each worker, and each command that a test
# starts, compiles it all again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test quick laws schedules fuzz tampers generators pages vendored check format mutants faults citus bench bench-peers bench-compare scale erasures deps setup setup-dev lock upgrade sample currencies clean .tools

# List the targets.
help:
	@awk '/^# / { said = substr($$0, 3) } /^[a-z-]+:/ { sub(":.*", ""); printf "  make %-10s %s\n", $$0, said } !/^# / { said = "" }' Makefile

# Set up, then show the whole way once: a sample provider's months, and on a terminal the pages, until Ctrl-C.
run: .venv/run.stamp
	@$(BIN)/makegood demo

# Set up, then check and test everything, with one real Kafka and one real PostgreSQL for all workers (WORKERS=5).
test: .tools .venv/dev.stamp check
	@MAKEGOOD_TEST_TIMES=$(SAMPLE) $(BIN)/python -m pytest $(SHARED_OUT)

# Set up, then test within a minute what breaks most easily: the policy, the ledger and the projections, on SQLite.
quick: .venv/dev.stamp
	@MAKEGOOD_TEST_TIMES=0.2 $(BIN)/python -m pytest $(SHARED_OUT) -m "not real and not long" $(QUICK)

# Set up, then try every law and both readings of the policy on TIMES=20 times their sample; `make test` takes SAMPLE=0.5 of it.
laws: .venv/dev.stamp
	@MAKEGOOD_TEST_TIMES=$(TIMES) $(BIN)/python -m pytest $(SHARED_OUT) -m "not real" tests/oracle tests/policy tests/ledger \
		tests/projections tests/consumers/test_contract.py

# Set up, then run many schedules (SEEDS=2000, of one shard and of several), in each of which a seed decides what goes wrong, and plant every defect.
schedules: .venv/dev.stamp
	@$(BIN)/python -m tests.schedules --seeds $(SEEDS)
	@$(BIN)/python -m tests.schedules --seeds $(SEEDS) --first 100000
	@$(BIN)/python -m tests.schedules --seeds 200 --planted

# Set up, then send the HTTP API many requests that nobody thought of (CASES=5000, SEED=N), and hold every answer to its description.
fuzz: .venv/dev.stamp
	@$(BIN)/python -m tests.fuzz --cases $(CASES) $(if $(SEED),--seed $(SEED))

# Set up, then change what was signed (CHANGES=10000 times, SEED=N): a store, its exported log, proofs. All must be found.
tampers: .tools .venv/dev.stamp
	@$(BIN)/python -m tests.tampers --changes $(CHANGES) $(if $(SEED),--first $(SEED))

# Set up, then have linters and generators of clients and types take the contract's documents (npm, Go, PyPI).
generators: .generators/stamp
	@$(BIN)/python -m pytest tests/generators/generating.py

# Set up, then walk through all pages with a browser, on each kind of store, and compare vendored files with npm's.
pages: .tools .venv/dev.stamp
	@$(BIN)/python -m tests.pages.vendored --check
	@$(BIN)/python -m pytest tests/pages

# Copy the files that other people wrote out of their packages (npm), as tests/pages/vendored/ pins them.
vendored: .venv/dev.stamp
	@$(BIN)/python -m tests.pages.vendored

# Set up, then lint, check the format, the types and the directions of imports. Changes nothing.
check: .venv/dev.stamp
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "check: run \`make format\`" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >.venv/imports.txt || { cat .venv/imports.txt; exit 1; }
	@echo "check: sound"

# Set up, then put all code into the one format and fix what can be fixed by itself.
format: .venv/dev.stamp
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

# Set up, then break the policy in one place at a time and name what no test noticed (about half an hour).
mutants: .venv/dev.stamp
	@$(if $(ONLY),,rm -rf mutants)
	@mkdir -p mutants
	@$(BIN)/mutmut run $(foreach name,$(ONLY),'$(name)') >mutants/run.txt 2>&1 || { tail -n 30 mutants/run.txt; exit 1; }
	@$(BIN)/mutmut results --all true | awk -F ': ' ' \
		$$2 != "not checked" { found[$$2]++; all++ } \
		$$2 != "not checked" && $$2 != "killed" { sub("^ *", ""); print } \
		END { printf "mutants: %d, %d killed (%.1f %%), %d survived, %d without tests, %d timed out\n", all, \
			found["killed"], 100 * found["killed"] / all, found["survived"], found["no tests"], found["timeout"] }'

# Set up, then kill, freeze, cut off and deprive makegood, many times over: `make faults ROUNDS=10` (about half an hour).
faults: .tools .venv/dev.stamp
	@$(BIN)/python -m tests.faults $(ROUNDS)

# Set up, then try stores whose shards Citus keeps, one after the other: POSTGRES=URL of a database of its coordinator, which has two workers.
citus: .tools .venv/dev.stamp
	@MAKEGOOD_TEST_POSTGRES=$(POSTGRES) $(BIN)/python -m pytest tests/integration/citus.py \
		tests/door/test_shards.py tests/door/test_all_shards.py tests/ledger/test_store.py \
		tests/ledger/test_contention.py tests/projections -k "not sqlite and not SQLite"

# Set up, then measure this machine, all or SECTIONS="intake lives …", each beside its comparison; written to .bench.
bench: .venv/dev.stamp
	@$(BIN)/python -m bench.run $(SECTIONS)

# Set up, then measure other people's systems beside ours, all or PEERS="emmett streams …"; written to .bench (npm, Maven, PyPI).
bench-peers: .venv/dev.stamp
	@$(BIN)/python -m bench.peers $(PEERS)

# Set up, then reckon docs/scale.md from what was measured, of MEASURED=.bench/bench.json if given; or play a month of SUBSCRIBERS=3000000 with CORES=8.
scale: .venv/dev.stamp
	@$(BIN)/python -m bench.scale $(if $(MEASURED),--measured $(MEASURED)) $(if $(SUBSCRIBERS),--subscribers $(SUBSCRIBERS)) $(if $(CORES),--cores $(CORES))

# Set up, then show two reports side by side: A=before/bench.json B=after/bench.json.
bench-compare: .venv/dev.stamp
	@$(BIN)/python -m bench.compare $(A) $(B)

# Set up, then erase 100 customers on each kind of store, and look for what was said of them wherever it could be.
erasures: .venv/dev.stamp
	@MAKEGOOD_TEST_ERASED=100 $(BIN)/python -m pytest tests/api/test_erased_everywhere.py

# Install what the tests need from the system (Debian, as root), or name what is missing.
deps:
	@sh deploy/deps.sh

# Set up what makegood needs to run.
setup: .venv/run.stamp

# Set up what developing and testing need as well.
setup-dev: .venv/dev.stamp

# Write the locks again after a change in pyproject.toml; versions that still fit stay as they are.
lock: .venv/dev.stamp
	@$(COMPILE) pyproject.toml requirements/build.in -o requirements/run.lock
	@$(COMPILE) pyproject.toml requirements/build.in --extra dev -c requirements/run.lock -o requirements/dev.lock
	@$(COMPILE) requirements/generators.in -o requirements/generators.lock
	@$(COMPILE) bench/peers/quix/requirements.in -o bench/peers/quix/requirements.lock

# Write the locks again with the newest versions that fit.
upgrade: .venv/dev.stamp
	@rm requirements/run.lock requirements/dev.lock requirements/generators.lock bench/peers/quix/requirements.lock
	@$(MAKE) --no-print-directory --assume-old=.venv/dev.stamp lock

# Generate the sample provider's messages again; the same bytes come out every time.
sample:
	@$(PYTHON) deploy/sample/generate.py --out deploy/sample/events.jsonl

# Bring the kept list of currencies up to ISO 4217's, as the package iso4217 has it; what is withdrawn stays.
currencies: .venv/dev.stamp
	@$(BIN)/python deploy/currencies.py

# Remove the virtual environment and every cache. Stores are left alone.
clean:
	@rm -rf .venv .generators .peers build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- below: how the targets above are made -----------------------------------------------------------------------

# The tests say themselves what they cannot do without, so a missing tool is told here and stops nothing.
.tools:
	@sh deploy/deps.sh || echo "deps: going on; tests that need what is missing will say so" >&2

.venv/run.stamp: requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "setup: installing what makegood needs into .venv"
	@$(PIP) install --require-hashes -r requirements/run.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "setup: installing what makegood and its tests need into .venv"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ .venv/run.stamp

.generators/stamp: tests/generators/package-lock.json requirements/generators.lock .venv/dev.stamp
	@echo "setup: installing linters and generators into .generators"
	@mkdir -p .generators
	@cp tests/generators/package.json tests/generators/package-lock.json .generators/
	@npm --prefix .generators ci --no-audit --no-fund --loglevel=error
	@$(BIN)/uv venv --quiet --clear .generators/python
	@$(BIN)/uv pip install --quiet --python .generators/python --require-hashes -r requirements/generators.lock
	@touch $@

# Debian keeps the part of Python that makes virtual environments in a package of its own.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "setup: makegood needs Python 3.11 or newer as $(PYTHON); name another with \`make PYTHON=…\`" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
			echo "setup: installing python3-venv, which this Python comes without"; \
			{ apt-get update && apt-get install --yes --no-install-recommends python3-venv; } >/dev/null; \
		else \
			echo "setup: this Python cannot make virtual environments; install python3-venv (Debian, Ubuntu) first" >&2; \
			exit 1; \
		fi; }
	@$(PYTHON) -m venv .venv
