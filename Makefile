# Two commands matter: `make demo` and `make test`. Each sets up what it needs.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2

.PHONY: help demo test lint soak contract picture clean

help:
	@echo "make demo          see it work: cameras, twelve shops, a web shop (FOR=40: forty seconds)"
	@echo "make demo VIDEO=0  the same with your webcam (or a path or rtsp:// address); MODEL=path"
	@echo "make test          set up, lint, type-check and test everything"
	@echo "make soak          the long repeats of the kill tests (ROUNDS=20)"
	@echo "make picture       make the README's picture again"

demo: $(VENV)/demo
	@FOR="$(FOR)" VIDEO="$(VIDEO)" MODEL="$(MODEL)" $(BIN)/python -m deploy.demo

test: $(VENV)/dev lint
	@$(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

soak: $(VENV)/dev
	@PASSERBY_ROUNDS=$(or $(ROUNDS),20) $(BIN)/python -m pytest tests/end_to_end/test_kill.py -x -n $(JOBS)

contract: $(VENV)/demo
	@$(BIN)/passerby-edge contract --out docs

picture: $(VENV)/dev
	@$(BIN)/python -m docs.picture

$(VENV)/demo: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) for the demo: about 150 MB to fetch, 1.1 GB on disk, a minute or two."
	@deploy/setup $(PYTHON) $(VENV) "edge,central" amqtt
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) for the tests: about 230 MB to fetch, 1.3 GB on disk, two minutes or so."
	@deploy/setup $(PYTHON) $(VENV) "dev"
	@deploy/system mosquitto chromium
	@touch $@ $(VENV)/demo

clean:
	rm -rf $(VENV) .demo
