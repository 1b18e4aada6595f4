# make bench  sets up and runs the main job; make test sets up and passes the tests
PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/benchmarks
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: bench test lint types pytest format clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[cluster,demo,dev,huggingface,large,parity,ray,sweeps,text,vision]'
	touch $@

bench: $(INSTALLED)
	$(BIN)/genbench benchmark benchmark=digits out=$(OUT)/digits $(ARGS)
	$(BIN)/genbench benchmark benchmark=shapes_small out=$(OUT)/shapes_small $(ARGS)

test: lint types pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# a process per core, each on one thread: the small operations of the tests gain nothing from more
pytest: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal $(ARGS)

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache
