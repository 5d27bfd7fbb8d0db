# make demo    a virtual environment, mlsem in it, and the first example
# make test    lint, types and every test
# make lint    ruff and pyright only
# make fuzz    hostile data, mutated texts, random models, killed studies; SECONDS=60 of each
# make docs    the documentation site, into docs/_build/html
# make bench   the benchmarks, and their page of the documentation; PARTS="grid engines" of some
# make bench-compare BASE=main   this checkout's speed and import time beside a commit's
# make test-oldest   the tests that versions can break, with the oldest packages (tests/oldest.txt)
# make clean   remove what the above made
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
OLD_VENV := .venv/oldest
RUN := $(VENV)/bin/python
# Warnings of pip stay silent, its errors do not.
PIP := $(RUN) -m pip --disable-pip-version-check -qq

# One BLAS thread: the matrices are small, and tests run side by side.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Tests that pytest has compiled are kept, for its other workers and the next run.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test oldest test-oldest lint types unit fuzz docs bench bench-compare format clean

demo: $(VENV)/.core
	@$(VENV)/bin/mlsem demo

test: lint types unit

lint: $(VENV)/.dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: $(VENV)/.dev
	@$(RUN) -m pyright --pythonpath $(RUN)

unit: $(VENV)/.dev
	@$(RUN) -m pytest -q

# What versions of numpy, scipy and pandas can break: arrays, frames, files, text, public names.
# TESTS=tests runs all.
OLDEST_TESTS := tests/data tests/core tests/results tests/report tests/test_public_api.py
TESTS ?= $(OLDEST_TESTS)

test-oldest: oldest
	@$(OLD_VENV)/bin/python -m pytest -q $(TESTS)

oldest: $(OLD_VENV)/.dev

SECONDS ?= 60
SEED ?= 0

# Each is drawn from its seed: SEED=1000 begins with another one, and a finding names its own.
fuzz: $(VENV)/.dev
	@$(RUN) -m tests.fuzz --seconds $(SECONDS) --first $(SEED)
	@$(RUN) -m tests.fuzz.studies --kills 4 --seed $(SEED)

# A warning is an error; each page is run anew, with the mlsem of this checkout.
docs: $(VENV)/.docs
	@rm -rf docs/_build docs/reference/generated
	@$(RUN) -m sphinx -W --keep-going -q -j 2 -b html docs docs/_build/html
	@echo "The site is in docs/_build/html/index.html"

ROUNDS ?= 10

bench: $(VENV)/.bench
	@$(RUN) -m benchmarks $(PARTS) --save

bench-compare: $(VENV)/.core
	@test -n "$(BASE)" || { echo "Against which commit? make bench-compare BASE=main" >&2; exit 2; }
	@$(RUN) -m benchmarks.against $(BASE) --rounds $(ROUNDS)

format: $(VENV)/.dev
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

clean:
	rm -rf $(VENV) build dist docs/_build docs/reference/generated .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mlsem needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: pyproject.toml | $(VENV)/.made
	@echo "Installing mlsem into $(VENV) …"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.made
	@echo "Installing mlsem and its test tools into $(VENV) …"
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.core

$(VENV)/.docs: pyproject.toml | $(VENV)/.made
	@echo "Installing mlsem and what its documentation is made with into $(VENV) …"
	@$(PIP) install --editable '.[docs]'
	@touch $@ $(VENV)/.core

$(VENV)/.bench: pyproject.toml | $(VENV)/.made
	@echo "Installing mlsem and the packages it is compared with into $(VENV) …"
	@$(PIP) install --editable '.[bench]'
	@touch $@ $(VENV)/.core

# numpy 1.26 has wheels for Python 3.11 and 3.12; for another one nothing is compiled in their place.
$(OLD_VENV)/.dev: pyproject.toml tests/oldest.txt | $(VENV)/.made
	@echo "Installing mlsem with the oldest supported packages into $(OLD_VENV) …"
	@$(PYTHON) -m venv $(OLD_VENV)
	@$(OLD_VENV)/bin/python -m pip --disable-pip-version-check -qq install \
	  --only-binary numpy,scipy,pandas,pyarrow,pyreadstat,matplotlib \
	  --constraint tests/oldest.txt --editable '.[dev]'
	@touch $@
