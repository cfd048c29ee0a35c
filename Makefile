# make quickstart, make test, make check: each sets up what it needs. make clients: client libraries for their tests.
# make ray: a Ray for the tests that start a cluster.
PYTHON ?= python3
VENV ?= .venv
# Without a GPU PyTorch's CPU build is enough. On Linux, pip's own index has the CUDA build (gigabytes): to be spared
# it, give the CPU index that PyTorch's install page names: make quickstart TORCH_INDEX=URL
TORCH_INDEX ?=
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --no-input
RUN = PYTHONPATH=. TOKENIZERS_PARALLELISM=false $(VENV)/bin/python

.PHONY: quickstart test check setup clients ray
quickstart: setup
	$(RUN) -m recipes.run recipes/quickstart.yaml

# Two at a time, file by file. Threads that wait must not spin while the other test's want the same cores.
test: setup
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

setup: $(VENV)/.ready

$(VENV)/.ready: locks/cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than Python 3.11 (fix: make PYTHON=python3.11 ...)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c locks/cpu.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) install -q --no-deps -r locks/cpu.txt
	touch $@

clients: .venv-clients/.ready

.venv-clients/.ready: locks/clients.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip --disable-pip-version-check --no-input install -q --no-deps -r $<
	touch $@

ray: .venv-ray/.ready

.venv-ray/.ready: locks/ray.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip --disable-pip-version-check --no-input install -q --no-deps -r $<
	touch $@
