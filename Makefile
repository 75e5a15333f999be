# make demo   trains the sine task and writes $(DEMO)/report.html
# make test   passes the tests
# Both set up .venv themselves.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO ?= runs/demo
DEMO_ARGS ?= --preset reciprocal --epochs 50 --seed 0
TEST_ARGS ?= -n auto

.PHONY: demo test lint format types setup clean

demo: $(READY)
	rm -rf "$(DEMO)"
	$(BIN)/eqspice train sine --fidelity phase $(DEMO_ARGS) --out "$(DEMO)" --report

test: $(READY)
	$(BIN)/python -m pytest $(TEST_ARGS)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(READY)
	$(BIN)/mypy

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
