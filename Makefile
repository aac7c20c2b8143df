PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test check-style install nightly docs results clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "OneLabel needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: .venv/installed  ## make .venv and install the package into it

demo: install  ## the embedded example, start to finish (two to three minutes)
	$(BIN)/onelabel demo --out demo --overwrite

check-style: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: check-style  ## every check: style, types, tests, docstrings
	$(BIN)/python -m pytest -n 2

nightly: install  ## what is too slow for every change: many more random inputs, every resume, compiled losses
	$(BIN)/python -m pytest -m nightly
	$(BIN)/python benchmarks/losses.py

docs: install  ## write the documents that are made from the code
	$(BIN)/python scripts/write_method_docs.py
	$(BIN)/python scripts/draw_gr_gradients.py

results: install  ## run what docs/results.md shows and write it (half an hour; needs ONELABEL_DATA)
	$(BIN)/onelabel demo --out demo --overwrite
	$(BIN)/python benchmarks/methods_on_features.py --selects observed --batch-size 64 --epochs 15 --out comparisons
	$(BIN)/python scripts/write_results.py demo comparisons > results.md && mv results.md docs/results.md

clean:  ## remove what make made
	rm -rf .venv demo comparisons build dist
