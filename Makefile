# Two commands do all the set-up on a fresh machine: `make evolve` runs the main job, `make test` the checks.
# `make benchmark` measures speed and memory, on a machine that does nothing else, and writes benchmarks/RESULTS.md.
# `make reference` writes docs/reference.md anew from what the code declares.
# `make docs` builds the documents as a site with search, in build/pages.
#
#   PYTHON     the interpreter that makes the environment (3.11 or newer)
#   PIP_FLAGS  further flags for pip, for example an extra index that offers the CPU build of torch
#   MINUTES    how long `make torture` goes on
#   ARGS       further flags for `zcsr evolve` or the benchmarks, for example ARGS="--seed 1" or ARGS="--quick"

PYTHON ?= python3
MINUTES ?= 10
PIP_FLAGS ?=
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip
INSTALLED := .venv/installed

.DELETE_ON_ERROR:
.PHONY: evolve test lint types unit torture reference docs benchmark clean

evolve: $(INSTALLED)
	$(BIN)/zcsr evolve $(ARGS)

test: lint types unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy does not see the mapping of store/ to zcsr.store, so it checks an installed copy; a stale build/ would
# put removed modules into that copy. It runs inside the copy because it would otherwise find ./zcsr first.
types: $(INSTALLED)
	rm -rf build
	$(PIP) install --quiet --no-deps --no-build-isolation --target build/typed .
	cd build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p zcsr

# The tests of one module stay in one process, since they share what its fixtures have made.
unit: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist loadfile

# Kills, full disks and damage for MINUTES, with figures; `make test` does the same in short.
torture: $(INSTALLED)
	$(BIN)/python tests/torture/torture.py --minutes $(MINUTES) $(ARGS)

reference: $(INSTALLED)
	$(BIN)/python docs/reference.py

docs: $(INSTALLED)
	$(PIP) install --quiet $(PIP_FLAGS) -c constraints.txt 'mkdocs-material>=9.7' 'mkdocstrings[python]>=1'
	$(BIN)/python docs/site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/run.py --out benchmarks/RESULTS.md $(ARGS)

# setuptools comes from the same pins as everything else, hence no isolated build environment.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install $(PIP_FLAGS) -c constraints.txt setuptools
	$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
