# make demo   hear the shipped word in the shipped recording (installs the runtime only, into .venv)
# make test   lint, types and tests (installs everything developers need, into .venv-dev)
# make lint   lint, types, known bad habits and requirements alone
# make audit  known weaknesses of the daemon's libraries (asks pypi.org)
# make test-tflite-runtime  the tests of the engine on tflite-runtime (Python 3.10 or 3.11, numpy 1)
# make model  train the shipped models again (long; needs recordings and VOICES=DIR: README, "A word of your own")
# make clean  remove what the others made
#
# Needs make, and Python 3.10 to 3.13 with venv. Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
DEV_VENV ?= .venv-dev
OLD_VENV ?= .venv-tflite-runtime
AUDIT_VENV ?= .venv-audit
MODELS ?= computer_jarvis alexa
RECORDING ?= wakeword/demo/computer.flac

# Written last, so a half-made environment is made anew; named by the interpreter, so for another one it
# is made anew too. When only pyproject.toml has changed, it is brought up to date.
STAMP = installed-$(notdir $(PYTHON))
comma := ,

.PHONY: demo test test-tflite-runtime lint audit model clean
.DELETE_ON_ERROR:

demo: $(VENV)/$(STAMP)
	$(VENV)/bin/wakeword detect $(RECORDING)

test: lint
	$(DEV_VENV)/bin/python -m pytest

# tflite-runtime needs numpy 1, so it has an environment of its own, without LiteRT.
test-tflite-runtime: $(OLD_VENV)/$(STAMP)
	$(OLD_VENV)/bin/pip uninstall --quiet --yes ai-edge-litert
	$(OLD_VENV)/bin/pip install --quiet 'pytest>=8.2,<10' 'hypothesis>=6.100,<7'
	$(OLD_VENV)/bin/python -m pytest tests/test_model.py tests/test_detector.py tests/test_shipped.py

lint: $(DEV_VENV)/$(STAMP)
	$(DEV_VENV)/bin/ruff check .
	$(DEV_VENV)/bin/ruff format --check .
	$(DEV_VENV)/bin/mypy
	$(DEV_VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive wakeword train firmware_export bench
	$(DEV_VENV)/bin/pip check

# Known weaknesses of what the daemon is installed with: asks pypi.org, so it is no part of the tests.
audit: $(AUDIT_VENV)/$(STAMP) $(DEV_VENV)/$(STAMP)
	$(DEV_VENV)/bin/pip install --quiet 'pip-audit>=2.7,<3'
	$(AUDIT_VENV)/bin/pip freeze --exclude-editable > $(AUDIT_VENV)/installed.txt
	$(DEV_VENV)/bin/pip-audit --strict --disable-pip --no-deps --requirement $(AUDIT_VENV)/installed.txt

# Each model is made by the code that made it before: its JSON names the commit. Today's code is
# `wakeword train RECIPE`.
model:
	for name in $(MODELS); do \
	  commit=$$($(PYTHON) -c 'import json, sys; print(json.load(open(sys.argv[1]))["training"]["commit"])' wakeword/models/$$name.json) && \
	  git worktree prune && { test -d build/$$commit || git worktree add --detach build/$$commit $$commit; } && \
	  $(PYTHON) -m venv build/$$commit/.venv && \
	  build/$$commit/.venv/bin/pip install --quiet --editable "build/$$commit[dev,synth]" && \
	  build/$$commit/.venv/bin/wakeword train $$name $(if $(VOICES),--voices '$(VOICES)') \
	    --work build/$$commit/runs --out wakeword/models --force || exit; \
	done

clean:
	rm -rf $(VENV) $(DEV_VENV) $(OLD_VENV) $(AUDIT_VENV) build dist *.egg-info train/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find wakeword train firmware_export tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/$(STAMP): pyproject.toml
	$(call make_venv,$(VENV),.)

$(OLD_VENV)/$(STAMP): pyproject.toml
	$(call make_venv,$(OLD_VENV),.[tflite-runtime])

$(AUDIT_VENV)/$(STAMP): pyproject.toml
	$(call make_venv,$(AUDIT_VENV),.[daemon$(comma)vad])

$(DEV_VENV)/$(STAMP): pyproject.toml
	$(call make_venv,$(DEV_VENV),.[dev])

# $(call make_venv,FOLDER,WHAT): an environment with this checkout in it.
# A 32-bit system on a 64-bit ARM kernel calls itself aarch64, and pip would look for wheels that it
# cannot use; linux32 makes it tell the truth.
define make_venv
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing. On Debian, Ubuntu and Raspberry Pi OS: sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { \
	  echo "$$($(PYTHON) --version): Python 3.10 to 3.13 is needed. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian, Ubuntu and Raspberry Pi OS: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Installing into $(1)" >&2
	@test -e $@ || rm -rf $(1)
	@$(PYTHON) -m venv $(1)
	@$$($(PYTHON) -c 'import platform, struct; print("linux32" * (platform.machine() == "aarch64" and struct.calcsize("P") == 4))') \
	  $(1)/bin/python -m pip install --quiet --disable-pip-version-check --editable '$(2)'
	@touch $@
endef
