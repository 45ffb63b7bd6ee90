# `make run` and `make test` need nothing but Python 3.11 and make.
#   make run ARGS="--set web.port=8080"    any options of `teamglm`
#   make PYTHON=/path/to/python3.11 run    another interpreter
# Tested on Linux x86-64. The locks hold Apple silicon's packages too, but nobody has tried them;
# Linux on ARM and Windows lack the chat model's runtime (xllamacpp or its wheel).

PYTHON ?= python3.11
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# pip keeps its own proxy and index settings; big wheels are unpacked here and not in a small /tmp.
PIP := TMPDIR=$(CURDIR)/$(VENV)/tmp $(BIN)/python -m pip --disable-pip-version-check
TORCH := torch==2.13.0
PYTEST := HF_HUB_OFFLINE=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
fail = { echo; echo "$(strip $(1))"; exit 1; } >&2

.SILENT:
.PHONY: run test coverage reliability lock clean

run: $(VENV)/ready
	exec $(BIN)/python -m bot $(ARGS) run --pull

test: $(VENV)/ready-for-tests
	$(BIN)/ruff check . || $(call fail, ruff found what it names above: correct it.)
	$(BIN)/ruff format --check . || $(call fail, Some files are not formatted: run $(BIN)/ruff format .)
	$(BIN)/mypy || $(call fail, mypy found what it names above: correct it.)
	$(BIN)/lint-imports || $(call fail, An import crosses a border of .importlinter: move the code.)
	$(BIN)/python -m bot models pull
	$(PYTEST) || $(call fail, A test failed: its name and reason are above.)

# Which lines no test runs. Counting them makes the tests a third slower.
coverage: $(VENV)/ready-for-tests
	$(BIN)/python -m bot models pull
	$(PYTEST) --cov --cov-report=term:skip-covered

# Every case of every row, or of those named: make reliability ROWS="D1 or I3". It goes on where it was.
reliability: $(VENV)/ready-for-tests
	RELIABILITY=full $(BIN)/pytest tests/reliability --timeout 3600 -p no:randomly -v $(if $(ROWS),-k "$(ROWS)") \
	    || $(call fail, A row did not hold: its name and reason are above.)
	$(BIN)/python -m tests.reliability.report

# The packages, by hash. torch is not in the lock: pip takes the build that it finds, a CPU build
# from a folder or index of yours, or the ordinary one, which brings its CUDA packages. These are
# the only packages without a hash; the constraints keep torch from changing any other.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	    || $(call fail, TeamGLM needs Python 3.11 with its venv module and found none as $(PYTHON): \
	        install it (Debian: python3.11 and python3.11-venv) or name it with make PYTHON=/path/to/it.)
	test "$$(df -Pk . | awk 'NR == 2 { print int($$4 / 1000000) }')" -ge 4 \
	    || $(call fail, The Python packages need 4 GB on this disk (8 GB with CUDA): make room and run make again.)
	echo "TeamGLM now downloads what is missing of the Python packages (0.3 GB), PyTorch (0.2 GB; 2.8 GB"
	echo "where pip finds only the build with CUDA) and then its models (1.2 GB). They take 2.2 GB here"
	echo "(8 GB with CUDA) and 1.6 GB in your cache folder. Only the first time."
	$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	    || $(PYTHON) -m venv --clear $(VENV) \
	    || $(call fail, $(VENV) could not be made: remove that folder and run make again.)
	rm -rf $(VENV)/tmp && mkdir $(VENV)/tmp
	$(PIP) install --require-hashes --no-deps --only-binary=:all: -r requirements.lock \
	    && $(PIP) freeze --all --exclude torch --exclude-editable > $(VENV)/constraints.txt \
	    && $(PIP) install --constraint $(VENV)/constraints.txt $(TORCH) \
	    && $(PIP) install --quiet --no-deps --no-build-isolation --editable . \
	    || $(call fail, The Python packages could not be installed: pip says why above; check the \
	        network or pip's proxy and index settings and run make again - it goes on where it stopped.)
	rm -rf $(VENV)/tmp
	touch $@

$(VENV)/ready-for-tests: $(VENV)/ready requirements-test.lock
	mkdir -p $(VENV)/tmp
	$(PIP) install --require-hashes --no-deps --only-binary=:all: -r requirements-test.lock \
	    || $(call fail, The test tools could not be installed: pip says why above; check the network \
	        or pip's proxy and index settings and run make again - it goes on where it stopped.)
	touch $@

# For maintainers, with uv: both locks from pyproject.toml, torch replaced by what its CPU build
# needs. `make lock UPGRADE=--upgrade` takes newer versions.
TORCH_NEEDS := filelock fsspec jinja2 networkx setuptools sympy typing-extensions
LOCK := uv pip compile pyproject.toml build/torch-needs.in --override build/no-torch.txt \
    --python-version 3.11 --universal --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --quiet $(UPGRADE)
lock:
	mkdir -p build
	printf '%s\n' $(TORCH_NEEDS) > build/torch-needs.in
	echo "$(TORCH) ; python_version < '3'" > build/no-torch.txt
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-test.lock

clean:
	rm -rf $(VENV) build *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
