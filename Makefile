# Every verb runs the tools on PATH: activate the environment that `pip install -e ".[dev]"` filled.
.DEFAULT_GOAL := help
.PHONY: help fmt lint types test test-all golden docs bench bench-fit

# One worker per core; a worker re-imports the frameworks, so more cost more than they give.
PYTEST := pytest -n 2 --dist worksteal

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

fmt:  ## Format the code and apply the safe fixes
	ruff format .
	ruff check --fix .

lint:  ## Check style, docstrings and who imports whom
	ruff format --check .
	ruff check .
	lint-imports

types:  ## Check the types (strict in losskit.formula)
	mypy

test: lint types  ## Check everything that takes minutes: what CI runs
	$(PYTEST) -m "not slow"

test-all: lint types docs  ## Check everything: also slow tests and the site
	$(PYTEST)

golden:  ## Rewrite the golden texts; review them with git diff
	python tests/golden/update.py

docs:  ## Build the site into docs/_build/html; a warning is an error
	sphinx-build -W --keep-going --fresh-env -b html docs docs/_build/html
	sphinx-build -W --keep-going -b doctest docs docs/_build/doctest

bench:  ## Time the kernels against their peers and the memory floor, in one run
	python benchmarks/kernels.py
	python benchmarks/softmax.py
	python benchmarks/linear.py
	python benchmarks/ranking.py

bench-fit:  ## Time our fits against other libraries', which it installs in throw-away environments
	python benchmarks/fit.py
