# `make` lists what there is. One virtual environment serves all targets; each installs only what it adds.

VENV := .venv
BIN := $(VENV)/bin
BASE_PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Without the constraints pip would take the newest torch, and with it some gigabytes of another platform's libraries.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
RECIPE := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help env demo test check lint types docs fuzz torture bench reports dist clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# pip arrives last in a new environment, so its presence says that the environment is whole.
$(BIN)/pip:
	@echo "making $(VENV) with $(BASE_PYTHON)"
	@"$(BASE_PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "interpkit needs Python 3.11 or newer")'
	@"$(BASE_PYTHON)" -m venv $(VENV)

# A stamp is written last, so that an install that was cut off is taken up again.
$(VENV)/.run: $(RECIPE) | $(BIN)/pip
	@echo "installing interpkit and the pretrained networks (a few minutes the first time)"
	@$(INSTALL) -e '.[zoo]'
	@touch $@

$(VENV)/.dev: $(RECIPE) $(VENV)/.run
	@echo "installing the development tools"
	@$(INSTALL) -e '.[zoo,dev]'
	@touch $@

$(VENV)/.docs: $(RECIPE) $(VENV)/.dev
	@echo "installing the documentation tools"
	@$(INSTALL) -e '.[zoo,dev,docs]'
	@touch $@

env: $(VENV)/.dev ## the virtual environment with everything that tests need

demo: $(VENV)/.run ## dissect a pretrained network on the embedded label set and write its report
	$(BIN)/interpkit demo

# Most tests keep one core busy; the tests of a file share what they have made.
test: env ## the tests, in two processes
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: env ## format and lint, without changing a file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: env ## mypy, strict
	$(BIN)/mypy

docs: $(VENV)/.docs ## the documentation, with executed tutorials, in docs/_build/html, and its tests; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python -m pytest -q tests/test_documentation.py

check: lint types test docs ## the definition of clean: all of the above

# Where there is no wheel of atheris, hypothesis does all of it.
fuzz: env ## damaged files for every reader of files from strangers; FUZZ_INPUTS=100000 a reader
	@$(INSTALL) -e '.[zoo,dev,fuzz]' || echo "atheris cannot be installed here (it is built for Linux on x86_64)"
	$(BIN)/python tests/fuzz/fuzz.py

torture: env ## commands killed, their disks filled, their files damaged; 20 minutes on 2 cores
	$(BIN)/python tests/torture/torture.py

bench: env ## speed and memory, as ratios measured in one run
	$(BIN)/python tests/bench/run.py

reports: env ## rebuild reports/examples
	$(BIN)/python reports/build_examples.py

dist: env ## the wheel, in dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## remove caches and builds; keeps the environment and your reports
	rm -rf build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find interpkit tests datasets docs -name __pycache__ -type d -prune -exec rm -rf {} +
