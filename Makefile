# make reproduce: the headline result on a fresh machine. make test: what every change has to pass.
# Both make their own environment.
PYTHON ?= python3
WORKERS ?= 2
STUDY ?= headline
SCALE ?= quick

# 1: the versions of constraints.txt, those of the published results. 0: whatever pyproject.toml allows.
LOCKED ?= 1

VENV := .venv
# Of 20,000 modules most are never imported: each is compiled when it first is. That has to be kept, which some
# environments forbid, or each of many processes compiles 3,000 modules again: more than half of its time.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(VENV)/bin/python -m pip install --quiet --no-compile $(if $(filter 0,$(LOCKED)),,-c constraints.txt) --editable
RUN := HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false $(VENV)/bin/python -m
SWEEP := study=$(STUDY) scale=$(SCALE) hydra/launcher=joblib hydra.launcher.n_jobs=$(WORKERS)

.PHONY: reproduce evidence test pytest test-slow test-exports test-slurm test-two-hosts torture bench gpu gpu-study lint docs report clean

reproduce: $(VENV)/installed
	$(RUN) repro.train $(SWEEP)
	$(RUN) repro.finetune $(SWEEP)
	$(RUN) repro.evaluate $(SWEEP)
	$(RUN) analysis.report scale=$(SCALE)

# All runs of docs/protocol.md, in its order, under results/: days. Its price is printed first (DRY_RUN=true: that alone).
# Interrupted, it goes on.
ROOT ?= results
DRY_RUN ?= false
evidence: $(VENV)/installed
	$(RUN) analysis.protocol scale=proxy root=$(ROOT) workers=$(WORKERS) dry_run=$(DRY_RUN)

# Side by side: tests wait for disks and processes often enough to leave the type checker a core.
test: $(VENV)/installed-test
	$(MAKE) --jobs=2 lint pytest

pytest: $(VENV)/installed-test
	$(RUN) pytest -n $(WORKERS)

# Tests that take long and repeat much of what others hold.
test-slow: $(VENV)/installed-test
	$(RUN) pytest -n $(WORKERS) -m slow

# Exports in other versions of transformers, each in an environment of its own: the same logits and ids. The same torch.
TRANSFORMERS ?= 4.57.* 5.2.* 5.8.*
test-exports: $(VENV)/installed-test
	set -e; torch=$$($(VENV)/bin/python -c "import torch; print(torch.__version__.partition('+')[0])"); pythons=; \
	for version in $(foreach each,$(TRANSFORMERS),'$(each)'); do \
	  there=$(CURDIR)/build/transformers-$$version; \
	  test -x "$$there/bin/python" || $(PYTHON) -m venv "$$there"; \
	  "$$there/bin/python" -m pip install --quiet "transformers==$$version" "torch==$$torch"; \
	  pythons=$$pythons:$$there/bin/python; \
	done; \
	EXPORT_PYTHONS=$$pythons $(RUN) pytest tests/exports/test_folder.py -k another_transformers

# Needs root and Debian: installs Slurm, starts one of its own, and stops it.
test-slurm: $(VENV)/installed-slurm
	tests/slurm/with_slurm.sh env $(RUN) pytest -m slurm

# Needs root and Debian: two hosts in networks of their own, and a file system between them (GlusterFS).
test-two-hosts: $(VENV)/installed-test
	tests/two_hosts/with_two_hosts.sh env $(RUN) pytest -m two_hosts -n 0

# Faults at length and at random: a bounded number of rounds, seeds printed, tables at the end.
ROUNDS ?= 200
SEED ?= 0
torture: $(VENV)/installed-test
	$(RUN) tests.torture.kill rounds=$(ROUNDS) seed=$(SEED)
	CONFIGURATIONS=1000 CONFIGURATIONS_SEED=$(SEED) $(RUN) pytest -n $(WORKERS) -m "" -s tests/launching/test_configurations.py
	$(RUN) pytest -n $(WORKERS) -m torture

# Ratios against peers and limits, into docs/benchmarks: on a machine that does nothing else.
bench: $(VENV)/installed-test
	$(RUN) tests.bench.training
	$(RUN) tests.bench.sweeps
	$(RUN) tests.bench.plans

# On a machine with a CUDA device: what is promised there, then ratios against peers. From a plain checkout, with the
# dependencies on PYTHONPATH or installed in whatever Python: make gpu GPU_PYTHON=python3
GPU_PYTHON ?= $(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,$(PYTHON))
ON_GPU := PYTHONPATH=$(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH)) HF_HUB_OFFLINE=1 $(GPU_PYTHON) -m
gpu:
	@$(ON_GPU) tests.gpu
	$(ON_GPU) pytest -m gpu tests/gpu
	$(ON_GPU) tests.bench.training setup=gpu_small threads=1 repeats=3

# The headline study at scale gpu_small. The text is made first (minutes, on the CPU); stopped, it goes on where it was.
gpu-study:
	@$(ON_GPU) tests.gpu
	TOKENIZERS_PARALLELISM=true $(ON_GPU) repro.prepare study=headline scale=gpu_small
	$(ON_GPU) repro.train study=headline scale=gpu_small
	$(ON_GPU) analysis.report scale=gpu_small

lint: $(VENV)/installed-test
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports --no-logo

# The documentation as a site, in build/site. Links that lead nowhere are errors.
docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --quiet --strict --config-file docs/mkdocs.yml

report: $(VENV)/installed
	$(RUN) analysis.report scale=$(SCALE)

clean:
	rm -rf $(VENV) build *.egg-info

# The pip that Python 3.11 comes with takes twice as long to choose the versions of 150 packages; without a newer one it
# does.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	-$@ -m pip install --quiet --no-compile --upgrade pip

# A file that says which versions were asked for: asking for others installs again.
$(VENV)/locked-$(LOCKED): | $(VENV)/bin/python
	rm -f $(VENV)/locked-*
	touch $@

INSTALLED_FROM := pyproject.toml constraints.txt $(VENV)/locked-$(LOCKED)

$(VENV)/installed: $(INSTALLED_FROM)
	$(INSTALL) ".[schedule_free]"
	touch $@

$(VENV)/installed-test: $(INSTALLED_FROM)
	$(INSTALL) ".[test,lint,docs]"
	touch $@ $(VENV)/installed

$(VENV)/installed-slurm: $(VENV)/installed-test
	$(INSTALL) ".[test,slurm]"
	touch $@
