# Small Polyglots. Needs python3 (3.11 or newer), make and git; everything else is installed into .venv.

STUDY ?= default
PORT ?= 5000
JOBS ?= 2

# The default study lies in the root, any other in studies/.
FOLDER := $(if $(filter default,$(STUDY)),.,studies/$(STUDY))
STUDIES := default $(sort $(patsubst studies/%/params.yaml,%,$(wildcard studies/*/params.yaml)))
ifeq ($(filter $(STUDY),$(STUDIES)),)
$(error unknown study '$(STUDY)'; there are: $(STUDIES))
endif

INSTALLED := .venv/.installed
EVALUATORS := .venv/.evaluators
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Nothing that runs here reports on its use.
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export NO_MKDOCS_2_WARNING := 1
# DVC orders stages by hashes of their names: with a fixed seed two machines write the same dvc.lock.
export PYTHONHASHSEED := 0

.DEFAULT_GOAL := help
.PHONY: help status verify check declare repro report miniature tune ui test schema docs clean-venv clean-mlflow clean-cache

help: ## what can be made
	@echo "make TARGET [STUDY=name]    studies: $(STUDIES)"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

# DVC reads params.yaml too, with shorter messages, so it is checked first.
check: $(INSTALLED) ## check a study's params.yaml
	@cd $(FOLDER) && python -m pipeline check

declare: check ## write down the declared analysis, with time and commit, before there are results
	@cd $(FOLDER) && python -m pipeline declare

repro: check ## run what is missing or out of date of a study, then say what was found
	@cd $(FOLDER) && python -m pipeline mend
	@dvc repro $(FOLDER)/dvc.yaml
	@cd $(FOLDER) && python -m pipeline summary

report: check ## as repro, without MLflow
	@cd $(FOLDER) && python -m pipeline mend
	@dvc repro $(FOLDER)/dvc.yaml:analyse

status: $(INSTALLED) ## say what is done, runs, failed and why, is stale or to do; also while the study runs
	@cd $(FOLDER) && python -m pipeline status

verify: $(INSTALLED) ## make one model anew, CELL=clip-half-ed-s0, and compare it byte for byte with what is there
	@$(if $(CELL),,$(error give CELL=name, as in runs/))cd $(FOLDER) && python -m pipeline verify "$$CELL"

miniature: $(INSTALLED) ## the path from published checkpoints and data sets to the report, on tiny ones made on the spot
	@python -m tests.miniature studies/miniature
	@$(MAKE) --no-print-directory repro STUDY=miniature

tune: check ## search each method's settings anew on the validation split; rewrites the study's tuning/
	@dvc repro $(FOLDER)/dvc.yaml:embed
	@cd $(FOLDER) && python -m pipeline tune --names | xargs -P $(JOBS) -n 3 python -m pipeline tune

ui: $(INSTALLED) ## show a study's runs in MLflow on PORT (5000)
	@cd $(FOLDER) && exec python -m pipeline ui --port $(PORT)

test: $(EVALUATORS) ## style, types and tests
	@ruff check .
	@ruff format --check .
	@mypy
	@OMP_NUM_THREADS=1 pytest -q -n $(JOBS)

schema: $(INSTALLED) ## write params.schema.json anew, after a change of what params.yaml may hold
	@python -m pipeline schema --out params.schema.json

docs: $(INSTALLED) ## build the documentation into site/
	@mkdocs build --strict
	@echo "Documentation: site/index.html"

clean-venv: ## remove the installed packages
	rm -rf .venv

clean-mlflow: ## remove a study's MLflow store; `make ui` rebuilds it from the results
	cd $(FOLDER) && rm -rf mlflow.db mlflow.db-* mlartifacts

clean-cache: $(INSTALLED) ## remove from DVC's cache what no study uses any more
	@dvc gc --workspace --force

$(INSTALLED): pyproject.toml requirements/constraints.txt
	@echo "Installing into .venv: once, and again when pyproject.toml or the constraints change; takes a few minutes"
	@requirements/install
	@touch $@

$(EVALUATORS): $(INSTALLED)
	@echo "Installing MTEB, sentence-transformers, submitit and Ray into .venv, which only tests of exports and engines use"
	@requirements/install evaluators,slurm,ray
	@touch $@
