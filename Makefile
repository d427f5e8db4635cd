# make results       set up, compare optimizers on real data, say where to look
# make experiments   set up, run every experiment there is
# make test          set up, run the tests
# make check         set up, check style and types
#
# Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
# LAPACK's threads spin: more of them than free cores make it many times slower.
export OPENBLAS_NUM_THREADS ?= 1
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

MAIN_JOB := linear_regression newton_vs_gradient_descent optimizers_on_digits \
	test_functions

.PHONY: help results experiments test check clean
.DEFAULT_GOAL := help

help:
	@sed -n '1,6s/^# \{0,1\}//p' Makefile

results: $(READY)
	@echo "Comparing optimizers on real data and on test functions."
	@$(BIN)/python -m experiments $(MAIN_JOB)

experiments: $(READY)
	@echo "Running every experiment."
	@$(BIN)/python -m experiments

test: $(READY)
	@echo "Running the tests."
	@$(BIN)/python -m pytest -q -n 2

check: $(READY)
	@echo "Checking style and types."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

# The stamp is written last: a set-up that was interrupted is done again.
$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: there is no $(PYTHON); install Python 3.11 or newer, or say" \
	       "which one to use: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$($(PYTHON) --version) is too old; jaxcalc needs Python 3.11 or" \
	       "newer. Say which one to use: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu:" \
	       "apt install python3-venv"; exit 1; }
	@echo "Making a virtual environment in $(VENV) and installing into it (minutes)."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[tests]'
	@touch $(READY)

clean:
	rm -rf $(VENV) build dist
