# `make smoke`, `make demo` and `make test` are all the set-up there is: both create the environment if it is not current.

ENV ?= .venv
PYTHON ?= python3.11
BIN := $(ENV)/bin
CORES ?= $(shell nproc)
# What the environment is made from, and for which folder; another content asks for another stamp.
CONTENT := $(shell (pwd; cat requirements.lock requirements-oracles.txt pyproject.toml) | cksum | tr ' ' '-')
STAMP := $(BIN)/.current-$(CONTENT)
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: smoke demo tables test trust faults audit verify lint env rulegraph lock clean

smoke: env  ## every stage once, in less than a minute
	snakemake --cores $(CORES) --quiet rules reason host progress --config experiment=smoke complete=true
	@echo "Open paper_tables/smoke/index.html in a browser, or type: $(BIN)/trigact show smoke table1"

demo: env  ## the whole paper in miniature, every artifact made anew on this machine
	snakemake --cores $(CORES) --quiet rules reason host progress --config experiment=demo complete=true
	@trigact changes demo

tables: env  ## render the tables and figures of the committed cells
	snakemake --cores $(CORES) --quiet rules reason host progress --config experiment=demo
	@echo "Open paper_tables/demo/index.html in a browser, or type: $(BIN)/trigact show demo table1"

TESTS ?= -m "not slurm"
WORKERS ?= logical
test: env  ## all but those of SLURM, which take eight minutes more: WORKERS=0 TESTS="-m slurm"
	python -m pytest -q --numprocesses $(WORKERS) --dist worksteal $(TESTS)

trust: env  ## what the tests try to break, and how often that ended well
	python -m pytest -q tests/faults

FAULTS ?= 45
faults: env  ## many faults at random moments of a run, in about ten minutes
	FAULTS=$(FAULTS) python -m pytest -v tests/faults/test_survival.py

audit: env  ## known vulnerabilities of the locked packages
	python scripts/audit_dependencies.py

verify: env  ## whether what git holds is what its records and the plan say
	trigact verify

lint: env
	ruff check
	ruff format --check
	mypy
	lint-imports
	trigact unused
	snakefmt --check workflow
	snakemake --lint

env: $(STAMP)  ## create the environment; nothing happens while it is current

$(STAMP):
	@echo "Creating the environment in $(ENV); this takes some minutes the first time."
	$(PYTHON) -m venv $(ENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-oracles.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@rm -f $(BIN)/.current-* && touch $@

rulegraph: env  ## draw docs/rulegraph.svg again, after a change of rules
	python scripts/rulegraph.py

lock:  ## write requirements.lock again from pyproject.toml
	uv pip compile --universal --python-version 3.11 --extra dev --no-header --no-annotate \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf .snakemake results/scratch results/specs results/logs
