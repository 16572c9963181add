# Two commands matter: `make demo` and `make test`. Each sets up what it needs.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPORTER := .venv-models
PEERS := .venv-peers
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2

.PHONY: help demo test lint soak contract metrics features figures picture peers clean

help:
	@echo "make demo          see it work: cameras, twelve shops, a web shop (FOR=40: forty seconds)"
	@echo "make demo VIDEO=0  the same with your webcam (or a path or rtsp:// address); MODEL=path"
	@echo "make test          set up, lint, type-check and test everything"
	@echo "make soak          the long repeats of the kill tests (ROUNDS=20), and 100 random kills"
	@echo "make metrics       make docs/metrics.md again, from the catalogue"
	@echo "make figures       draw the pictures of the pages about counting and detection again"
	@echo "make picture       make the README's picture again"
	@echo "make peers         what the benchmarks compare with, in $(PEERS) (3.3 GB to fetch)"

demo: $(VENV)/demo
	@FOR="$(FOR)" VIDEO="$(VIDEO)" MODEL="$(MODEL)" $(BIN)/python -m deploy.demo

test: $(VENV)/dev $(EXPORTER)/made lint
	@$(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

soak: $(VENV)/dev
	@PASSERBY_ROUNDS=$(or $(ROUNDS),20) $(BIN)/python -m pytest tests/end_to_end/test_kill.py -x -n $(JOBS)
	@echo "Spark for the guide to the features: 456 MB to fetch."
	@command -v java >/dev/null || deploy/system openjdk-17-jre-headless
	@$(PIP) install -q -c constraints.txt pyspark==4.3.0
	@$(BIN)/python -m pytest tests/docs/spark_features.py

contract: $(VENV)/demo
	@$(BIN)/passerby-edge contract --out docs

metrics: $(VENV)/demo
	@$(BIN)/python -m docs.metrics

features: $(VENV)/demo
	@$(BIN)/python -m docs.features

figures: $(VENV)/demo
	@$(BIN)/python -m docs.figures
	@$(BIN)/python -m docs.flow
	@$(BIN)/python -m docs.detection

picture: $(VENV)/dev
	@$(BIN)/python -m docs.picture

$(VENV)/demo: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) for the demo: about 380 MB to fetch, 1.4 GB on disk, a minute or two."
	@deploy/setup $(PYTHON) $(VENV) -c constraints.txt -e ".[edge,central]" amqtt
	@touch $@

# The SDK wants an older python-dateutil than the rest; what it uses of it is in the newer one, too.
$(VENV)/dev: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) for the tests: about 540 MB to fetch, 1.9 GB on disk, two minutes or so."
	@deploy/setup $(PYTHON) $(VENV) -c constraints.txt -e ".[dev]"
	@deploy/setup $(PYTHON) $(VENV) -c constraints.txt --no-deps segment-analytics-python
	@deploy/system mosquitto chromium
	@touch $@ $(VENV)/demo

peers: $(PEERS)/made

# Ultralytics reads torchvision's version and imports nothing of it to export; by its own wish it
# would bring opencv-python, which needs a desktop's libraries, and much more.
$(EXPORTER)/made: Makefile constraints.txt
	@echo "Setting up $(EXPORTER) for the export test: torch and what it needs, half a minute or so:"
	@echo "340 MB to fetch and 1.3 GB on disk where pip finds torch for CPU alone, else several GB."
	@deploy/setup $(PYTHON) $(EXPORTER) -c constraints.txt msgspec numpy onnx onnxruntime \
		opencv-python-headless pillow pydantic pyyaml torch
	@deploy/setup $(PYTHON) $(EXPORTER) -c constraints.txt --no-deps torchvision ultralytics
	@touch $@

$(PEERS)/made: Makefile
	@echo "Setting up $(PEERS): 3.3 GB to fetch, 6.7 GB on disk, a few minutes."
	@deploy/setup $(PYTHON) $(PEERS) torch==2.14.1 torchvision==0.29.1 ultralytics==8.4.190 \
		trackers==2.6.1 supervision==0.31.2 river==0.26.1 stumpy==1.14.1 pyod==3.6.7 \
		statsmodels==0.15.0 lapx==0.11.1 onnx==1.23.2 onnxruntime==1.32.0
	@$(PEERS)/bin/python -c "import cv2, lap, onnxruntime, pyod, river, statsmodels, stumpy, \
		supervision, torchvision, trackers, ultralytics"
	@touch $@

clean:
	rm -rf $(VENV) $(EXPORTER) $(PEERS) .demo
