# One command does what it says, set-up included. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.set-up

MEMBERS   := common common/release client server simulations
PACKAGES  := fedsynth_common fedsynth_release fedsynth_client fedsynth_server fedsynth_simulations
SOURCES   := $(join $(MEMBERS:%=%/),$(PACKAGES)) fedsynth
MANIFESTS := constraints.txt pyproject.toml $(MEMBERS:%=%/pyproject.toml)
PROTOCOL  := common/fedsynth_common/protocol

# The networks are small: a second thread mostly waits for the first.
export OMP_NUM_THREADS ?= 1

PYTEST := $(BIN)/python -m pytest
ARGS   ?=
BENCH  ?= adult

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-slow e2e certs check privacy closure bench docs dist offline lock sbom proto clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## virtual environment in .venv with the tested versions; PYTHON=... chooses the interpreter

$(STAMP): $(MANIFESTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		-e common -e common/release -e client -e server -e simulations -e '.[dev]'
	@touch $@

demo: $(STAMP) ## four hospitals train one generator of persons under ε = 3; writes ./demo-out
	$(BIN)/fedsynth demo $(ARGS)

test: $(STAMP) ## the fast tests, on two cores
	$(PYTEST) -n 2 $(ARGS)

test-slow: $(STAMP) ## the slow tests: audits, large tables
	$(PYTEST) -m slow $(ARGS)

e2e: $(STAMP) ## a federation of real processes on this computer: TLS, three sites, one study; minutes
	$(PYTEST) -m slow tests/e2e/deployment $(ARGS)

CERTS ?= certs
NAMES ?=
certs: ## authority and server certificate in CERTS=certs for NAMES="fed.example.org ..."; replaces nothing
	docker/make-certs.sh $(CERTS) $(NAMES)

privacy: $(STAMP) ## every test of a privacy claim, slow ones included; then faults that must fail them
	$(PYTEST) -n 2 -m privacy $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/python tests/privacy/mutants.py

check: $(STAMP) ## lint, format, types, trust boundaries, examples in docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) --doctest-modules --ignore-glob='*_pb2*' --ignore-glob='*mbi_driver.py' $(SOURCES)

closure: $(STAMP) ## what a site installs and imports, in lines; ARGS=--files lists the files
	$(BIN)/python tests/client/site_closure.py $(ARGS)

bench: $(STAMP) ## benchmark of BENCH="table ...", resumed where it stopped; results in out/benchmark.json
	@mkdir -p out
	$(BIN)/fedsynth benchmark run $(BENCH) --out out/benchmark.json $(ARGS)

docs: $(STAMP) ## the documentation as a site, in out/site; a broken link is an error
	$(BIN)/python docs/site/build_site.py

dist: sbom $(STAMP) ## wheels and sdists of all distributions, locks and bills of materials, in out/dist
	$(BIN)/python distribution/make_dist.py

ROLE ?= site
KEY  ?= release.key
offline: sbom $(STAMP) ## one signed archive to install ROLE=site|coordinator|analyst without a network; KEY=release.key
	$(BIN)/python distribution/make_offline.py $(ROLE) --key $(KEY) $(ARGS)

lock: $(STAMP) ## write the lock files in locks/ again: after a change of constraints.txt or a pyproject.toml
	$(BIN)/python locks/renew.py

# which PyTorch stands in the bill of materials
TORCH    ?= locks/torch.txt
SBOM_ENV := .sbom-env
sbom: $(SBOM_ENV)/.set-up ## each role's software bill of materials (CycloneDX): out/sbom/ROLE.cdx.json
	@mkdir -p out/sbom
	$(call bill,vault,client,$(TORCH))
	$(call bill,courier,client,)
	$(call bill,coordinator,server,$(TORCH))
	$(call bill,analyst,common/release,$(TORCH))
	$(call bill,researcher,simulations,$(TORCH))

# $(call bill,ROLE,MEMBER,LOCK...): from the role's lock and those that it is installed with
bill = cat locks/$(1).txt $(3) | PYTHONWARNINGS=ignore $(SBOM_ENV)/bin/cyclonedx-py requirements \
	--pyproject $(2)/pyproject.toml --output-reproducible --of JSON -o out/sbom/$(1).cdx.json -

$(SBOM_ENV)/.set-up: locks/sbom.txt
	$(PYTHON) -m venv $(SBOM_ENV)
	$(SBOM_ENV)/bin/python -m pip install --quiet --require-hashes -r locks/sbom.txt
	@touch $@

proto: $(STAMP) ## write the classes of the messages again from vault.proto
	$(BIN)/python -m grpc_tools.protoc -I common \
		--python_out=common --pyi_out=common $(PROTOCOL)/vault.proto

clean: ## remove the environment, the demo's output and all caches
	rm -rf $(VENV) $(SBOM_ENV) demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf $(MEMBERS:%=%/*.egg-info) *.egg-info
	find $(MEMBERS) fedsynth tests -name __pycache__ -type d -prune -exec rm -rf {} +
