# The two commands are `make demo` and `make test`. Each makes or reuses .venv from pinned constraints.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DATA   ?= fair
# The workers are the parallelism: threads of matrix products on top of them only get in each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# Where Spark is started: by one process, since each worker would start a Java of a gigabyte. Python inside Spark finds
# the tests by PYTHONPATH.
ON_SPARK := PYTHONPATH=$(CURDIR) $(ONE_THREAD) $(BIN)/python -m pytest -rs $(wildcard tests/data/engines/test_*spark*.py) \
	tests/tabular/streams/test_spark.py tests/cli/test_engines.py tests/workspace/test_engine_figures.py

.PHONY: help install demo test test-all audit lint docs docs-full bench clean spark spark-all fuzz mutate

help: ## what each command does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(STAMP) ## .venv with everything that development needs

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## private table -> verified release on real embedded data; DATA=randhie for the second
	$(BIN)/dpsynth demo --data $(DATA) --out demo-out

test: $(STAMP) ## the default suite
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto

test-all: $(STAMP) ## with everything that takes minutes; Spark has `make spark-all`
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto -m 'not audit and not spark'

audit: $(STAMP) ## privacy audits over many runs, with their figures (about a quarter of an hour on one core)
	$(BIN)/python -m pytest -m audit -v

spark: $(STAMP) ## Spark for real: every check of an engine, and a cluster of two workers whose executors are killed (needs Java)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]'
	$(ON_SPARK) -m 'spark and not slow'

spark-all: $(STAMP) ## the same with what takes minutes: every check on the cluster too, and the checks before a run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]'
	$(ON_SPARK) -m spark

fuzz: $(STAMP) ## coverage-guided fuzzing of every parser with atheris, two CPU minutes each
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(ONE_THREAD) $(BIN)/python -m tests.fuzz --seconds 120

mutate: $(STAMP) ## share of small faults in gate and ledger that the suite notices; a sample, hours on one core
	$(ONE_THREAD) $(BIN)/python -m tests.mutation --sample 400

lint: $(STAMP) ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP) ## the documentation site, warnings are errors
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

docs-full: $(STAMP) ## the same with outputs of notebooks: runs those that have changed (minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	DPSYNTH_DOCS_EXECUTE=1 $(BIN)/sphinx-build -W --keep-going -q -b html -d docs/_build/doctrees-full docs docs/_build/full

bench: $(STAMP) ## the figures in README and docs
	$(BIN)/python benchmarks/readme_figures.py

clean: ## everything that the commands above made
	rm -rf $(VENV) demo-out spark-warehouse docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
