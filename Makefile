# The two commands of a newcomer are `make demo` and `make test`. Neither needs root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
EVERY := not gpu and not peer
QUICK := $(EVERY) and not slow and not lm_eval

# A test starts many interpreters: what one has compiled serves the next, whatever the caller's environment says of bytecode.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-together test-all test-gpu venv lint clean

venv: $(STAMP)

# PyTorch first: a plain install of what rests on it would otherwise choose a build of its own.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Luthier needs Python 3.11 or later; set PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/luthier run examples/quickstart/run.yaml
	@echo
	@echo "Ask the model yourself:"
	@echo "  $(BIN)/luthier ask \$$(ls -td runs/quickstart-*/ | head -1) 'show the last 25 lines of server.log'"

# One process for each core, with one thread each: more would wait for each other. The types are checked meanwhile, for that has one
# process and takes a minute at its first time. What measures time runs afterwards, alone.
test: $(STAMP)
	$(MAKE) --no-print-directory -j2 lint test-together
	$(BIN)/python -m pytest -rs -m '$(QUICK) and alone'

test-together: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n logical --dist worksteal -m '$(QUICK) and not alone'

test-all: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n logical --dist worksteal -m '$(EVERY) and not alone and not slow'
	$(BIN)/python -m pytest -rs -m '$(EVERY) and (alone or slow)'

# On a machine with a CUDA device.
test-gpu: $(STAMP)
	$(BIN)/python -m pytest -rs -m gpu

lint: $(STAMP)
	$(BIN)/ruff check src tests recipes benchmarks
	$(BIN)/ruff format --check src tests recipes benchmarks
	$(BIN)/mypy

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
