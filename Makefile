# Everything is installed into .venv, in this folder. A later run installs again only when requirements.lock has changed.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo dev test lint format bench soak screenshots lock clean install

PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
DEMO_ARGS ?=
TEST_ARGS ?=
LOCK_ARGS ?=

help: ## Say what can be made (the default)
	@awk -F ': .*## ' '/^[a-z]+: .*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: install ## Move a real app between two real regions. DEMO_ARGS="--exit --json" leaves nothing running
	@$(PYTHON) manage.py demo $(DEMO_ARGS)

dev: install ## Start the sandbox with the portal on it, and say how to go on
	@$(PYTHON) manage.py sandbox up
	@echo
	@echo 'Logins:        cat "$(or $(SANDBOX_DIR),.sandbox)/logins.txt"'
	@echo 'What runs:     $(PYTHON) manage.py sandbox status'
	@echo 'A shell:       eval "$$($(PYTHON) manage.py sandbox env)"'
	@echo 'Stop it:       $(PYTHON) manage.py sandbox down'

test: lint ## Run lint and the whole suite. TEST_ARGS go to pytest
	@$(PYTHON) -m pytest --numprocesses=2 --dist=worksteal $(TEST_ARGS)

lint: install ## Check style and types
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .
	@$(PYTHON) -m mypy --no-error-summary .

format: install ## Rewrite the code in the project's style
	@$(PYTHON) -m ruff check --quiet --fix .
	@$(PYTHON) -m ruff format .

bench: install ## Measure (tests/bench)
	@$(PYTHON) -m pytest tests/bench -s $(TEST_ARGS)

soak: install ## Move under load for a long time (tests/soak)
	@$(PYTHON) -m pytest tests -m slow $(TEST_ARGS)
	@$(PYTHON) -m pytest tests/soak -s $(TEST_ARGS)

screenshots: install ## Take the pictures of docs/screenshots (tests/screenshots), in a sandbox of their own
	@TEST_SANDBOX_DIR=.sandbox-screenshots $(PYTHON) -m pytest tests/screenshots -s $(TEST_ARGS)

# Index addresses stay out of the files: everybody installs from the index that their own pip is set up for.
PIP_COMPILE = $(PYTHON) -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(LOCK_ARGS)

lock: install ## Write both lock files anew from pyproject.toml. LOCK_ARGS=--upgrade takes newer versions
	@$(PIP_COMPILE) --extra=sandbox --extra=dev --output-file=requirements.lock pyproject.toml
	@$(PIP_COMPILE) --extra=image --constraint=requirements.lock --output-file=requirements-production.lock pyproject.toml

clean: ## Stop all sandboxes and remove them, .venv and all caches
	@if [ -n "$(wildcard .sandbox*)" ]; then $(MAKE) --no-print-directory install; fi
	@for sandbox in $(wildcard .sandbox*); do SANDBOX_DIR="$$sandbox" $(PYTHON) manage.py sandbox reset; done
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment knows its own path: one that came here with a moved or copied folder is made anew. The system's
# Python comes first: distributions build it with profiles, which makes the same code 1.5 times as fast.
install:
	@if { pwd -P; cat requirements.lock; } | cmp -s - $(INSTALLED) && [ -x $(PYTHON) ]; then exit 0; fi; \
	set -e; \
	system=/usr/bin/python3.11; \
	if ! "$$system" -c 'import ensurepip' 2>/dev/null; then system=; fi; \
	for python in $$system python3.11 python3 python none; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then break; fi; \
	done; \
	if [ "$$python" = none ]; then \
		echo "Python 3.11 is not on PATH. Install it (on Debian 12: apt-get install python3.11 python3.11-venv)." >&2; \
		exit 1; \
	fi; \
	echo "Installing what requirements.lock lists into .venv." >&2; \
	if ! grep -qsF -- "-m venv $$(pwd -P)/.venv" .venv/pyvenv.cfg || ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		rm -rf .venv; \
		if ! "$$python" -m venv .venv; then \
			rm -rf .venv; \
			echo "This Python cannot make a virtual environment (on Debian 12: apt-get install python3.11-venv)." >&2; \
			exit 1; \
		fi; \
	fi; \
	rm -f $(INSTALLED); \
	$(PYTHON) -m pip install --quiet --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock; \
	{ pwd -P; cat requirements.lock; } > $(INSTALLED)
