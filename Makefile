# `make smoke`, `make demo` and `make test` are all the set-up there is: both create the environment if it is not current.

SHELL := /bin/bash
ENV ?= .venv
BIN := $(ENV)/bin
CORES ?= all
# The first of these that fits makes the environment.
PYTHON ?= $(BIN)/python python3.11 python3.12 python3.13 python3 $(wildcard ~/.pyenv/versions/3.1[123].*/bin/python3)
# Without a GPU the environment has no more of CUDA than it must; what was once chosen with TORCH= stays.
TORCH ?= $(if $(wildcard $(BIN)/.current-*-cuda-* /dev/nvidiactl /usr/lib/wsl/lib/nvidia-smi),cuda,cpu)
# What the environment is made from, and for which folder; another content asks for another stamp.
CONTENT := $(shell (pwd; cat requirements*.lock requirements-oracles.txt pyproject.toml) | cksum | tr ' ' '-')
STAMP := $(TORCH)-$(CONTENT)
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: smoke demo tables test trust faults audit verify package lint env dev rulegraph readme lock clean

smoke: env  ## every stage once, in less than a minute
	snakemake --cores $(CORES) --quiet rules reason host progress --config experiment=smoke complete=true
	@echo "Or type: $(BIN)/trigact show smoke table1"

demo: env  ## the whole paper in miniature, every artifact made anew on this machine
	snakemake --cores $(CORES) --quiet rules reason host progress --config experiment=demo complete=true
	@trigact replicate demo

tables: env  ## render the tables and figures of the committed cells
	snakemake --cores $(CORES) --quiet rules reason host progress --config experiment=demo
	@echo "Open paper_tables/demo/index.html in a browser, or type: $(BIN)/trigact show demo table1"

TESTS ?= -m "not slurm"
WORKERS ?= logical
test: dev  ## all but those of SLURM, which take some minutes more: WORKERS=0 TESTS="-m slurm"
	python -m pytest -q --numprocesses $(WORKERS) --dist worksteal $(TESTS)

trust: dev  ## what the tests try to break, and how often that ended well
	python -m pytest -q tests/faults

FAULTS ?= 45
faults: dev  ## many faults at random moments of a run, in about ten minutes
	FAULTS=$(FAULTS) python -m pytest -v tests/faults/test_survival.py

audit: dev  ## known vulnerabilities of the locked packages
	python scripts/audit_dependencies.py

verify: env  ## whether what git holds is what its records and the plan say
	trigact verify

package: dev  ## what could be released: builds the package, installs it on its own and uses it
	python scripts/check_release.py

lint: dev
	ruff check
	ruff format --check
	mypy
	lint-imports
	trigact unused
	snakefmt --check workflow
	snakemake --lint

env: $(BIN)/.current-workflow-$(STAMP)  ## create the environment; nothing happens while it is current
dev: $(BIN)/.current-dev-$(STAMP)  ## add what tests and linters need

$(BIN)/.current-%-$(STAMP):
	@python=$$(scripts/find_python.sh $(PYTHON)) && "$$python" scripts/install.py $(ENV) $* --torch $(TORCH)
	@rm -f $(BIN)/.current-* && touch $(BIN)/.current-{workflow,$*}-$(STAMP)

rulegraph: env  ## draw docs/rulegraph.svg again, after a change of rules
	python scripts/rulegraph.py

readme: env  ## write the parts of README.md and docs/ that quote committed findings
	python scripts/readme.py

COMPILE = uv pip compile --universal --fork-strategy fewest --python-version 3.11 --no-header --no-annotate pyproject.toml
lock:  ## write the locks again from pyproject.toml
	$(COMPILE) --extra workflow --extra dev --output-file requirements.lock
	$(COMPILE) --extra workflow --constraint requirements.lock --output-file requirements-workflow.lock
	$(COMPILE) --constraint requirements.lock --output-file requirements-api.lock

clean:
	rm -rf .snakemake results/scratch results/specs results/logs
