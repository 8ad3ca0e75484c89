# `make demo` shows everything on an embedded AWS, `make test` checks everything; both set up what they need.

PYTHON ?= python3
PIP = -m pip --disable-pip-version-check --quiet
SAM = .tools/sam/bin/sam

.PHONY: setup demo test computed lint unit faults embedded crash soak mutants mutants-domain mutants-journal clean

setup: .venv/.ready .tools/ministack/.ready .tools/sam/.ready

# Three environments: ministack pins botocore and the SAM CLI pins boto3, each to its own.
.venv/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stagekeeper needs Python 3.11 or newer; set PYTHON=…")'
	@echo "Setting up .venv (the command line and the tools of the tests)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP) install -r requirements/dev.txt
	@.venv/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.tools/%/.ready: requirements/%.txt
	@echo "Setting up .tools/$*"
	@rm -rf .tools/$*
	@$(PYTHON) -m venv .tools/$*
	@.tools/$*/bin/python $(PIP) install -r $<
	@touch $@

demo: setup
	@.venv/bin/python -m examples.orders.demo

# A file's tests stay together, since they share what takes long to make.
WORKERS = --dist loadfile --numprocesses

# What computes beside what waits, which comes first where both want to run: it takes longer, and has patience for so long only.
# What each prints comes in one piece where make can do that.
AT_ONCE = --no-print-directory --jobs 3 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test:
	@$(MAKE) $(AT_ONCE) setup
	@$(MAKE) $(AT_ONCE) lint computed embedded

computed:
	@nice $(MAKE) --no-print-directory --jobs 1 unit
	@nice $(MAKE) --no-print-directory --jobs 1 faults

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/cfn-lint template.yaml examples/*/template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint

# Pure rules, the strict fake, DynamoDB and S3 on moto: no socket is opened.
unit: setup
	.venv/bin/python -m pytest tests/unit tests/adapters --disable-socket $(WORKERS) 2

# Every operation hit at every point that differs, and random histories: the same ones on every machine.
faults: setup
	.venv/bin/python -m pytest tests/crash tests/histories --disable-socket --dist worksteal --numprocesses 2

# Every fault at every point at every size, which takes an hour or two, and 50,000 steps of other random histories each time.
crash: setup
	CRASH_POINTS=all .venv/bin/python -m pytest tests/crash --disable-socket --dist worksteal --numprocesses 2

soak: setup
	STAGEKEEPER_HISTORIES=1050 STAGEKEEPER_SEED=$${STAGEKEEPER_SEED:-$$(date +%s)} .venv/bin/python -m pytest tests/histories --disable-socket -s

# Every mutant of the rules and of the journal against their own tests, which takes more than an hour; docs/testing.md judges the
# survivors. MUTANTS (a pattern) stands for fewer: make mutants-domain MUTANTS='stagekeeper.domain.lock.*'
mutants: mutants-domain mutants-journal

mutants-domain mutants-journal: mutants-%: .tools/mutants/.ready
	@rm -rf .build/$@
	@mkdir -p .build/$@
	@cp -r src tests pyproject.toml .build/$@
	@cp tests/mutants/$*.cfg .build/$@/setup.cfg
	cd .build/$@ && ../../.tools/mutants/bin/mutmut run $(MUTANTS)
	cd .build/$@ && ../../.tools/mutants/bin/mutmut results | sed '/not checked/d'

# The embedded AWS under enforced IAM: the deployed control plane from outside, its life cycle, and the contract suite.
# Each worker has servers of its own, and waits for them half of its time: so there are more workers than cores. The longest
# files come first and the many short ones last, so that no worker is left with one at the end.
embedded: setup
	.venv/bin/python -m pytest tests/embedded tests/e2e tests/contract --no-loadscope-reorder $(WORKERS) 4

clean:
	rm -rf .venv .tools .aws-sam .local .build
