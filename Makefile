# make demo: install and train both fields on the bundled digits; make test: lint, types and tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test figures report bench check-readme clean

demo: $(VENV)/run
	$(BIN)/python main.py --task Digits --field double-linear double-exponential --lr 2000 \
		--resistor_noise 0.015 --clipping 0.1 --batch_size 32 --epochs 10 --n_models 3 --compile off
	$(BIN)/python -m utils.plots --latest

# Waiting threads sleep soon, as in a run, since several tests compute at the same time.
test: export GOMP_SPINCOUNT ?= 1000
test: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -n auto --dist worksteal

# Takes hours on a CPU; continues where it was stopped. RUN="--n_models 3" passes flags to main.py.
figures: $(VENV)/run
	figures/figure1.sh --resume $(RUN)
	figures/figure2.sh --resume $(RUN)
	figures/figure3.sh --resume $(RUN)
	$(BIN)/jupyter nbconvert --to notebook --execute --output-dir figures magnetoionic-figures.ipynb

# One HTML file to pass on, with all pictures: figures/<time>/report.html.
report: $(VENV)/run
	$(BIN)/python -m utils.plots --report

# Repeats the numbers of the READMEs that take minutes.
check-readme: $(VENV)/run
	$(BIN)/python -m tests.benchmarks.check_readme

bench: $(VENV)/run
	$(BIN)/python -m tests.benchmarks.bench $(BENCH)

$(VENV)/run: requirements.txt
	@$(PYTHON) -c "import sys; sys.exit(None if sys.version_info >= (3, 10) else \
		'Python >= 3.10 is needed; name one with: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/test: $(VENV)/run pyproject.toml
	$(BIN)/pip install --quiet --group test
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
