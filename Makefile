# Every target builds what it needs; nothing has to be installed first but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.run-stamp
DEV_STAMP := $(VENV)/.dev-stamp
WEB_STAMP := web/node_modules/.stamp
BUILDER ?= docker
LINT := .tools/lint/bin
LINT_STAMP := .tools/lint/.stamp

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(RUN_STAMP) web-if-node ## Serve the product; prints where to go and how to log in
	@exec $(BIN)/python -m lighterage serve

.PHONY: web
web: web/dist/app/index.html web/dist/graphiql/index.html web/dist/swagger/index.html ## Build the pages for the browser (needs Node.js 20+ and npm)

# The server runs without its pages: no Node.js, or a build that failed, must not keep it from starting.
.PHONY: web-if-node
web-if-node:
	@if command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; then \
		$(MAKE) -s --no-print-directory web || echo "The pages could not be built; the server starts without them."; \
	else \
		echo "Without Node.js 20+ and npm there are no pages at / and /graphiql; the API runs all the same."; \
	fi

.PHONY: web-check
web-check: $(WEB_STAMP) ## Check the pages: types, operations against the schema, units
	npm --prefix web run --silent check
	npm --prefix web run --silent test

web/dist/app/index.html: $(WEB_STAMP) $(shell find web/app -type f -not -name graphql-env.d.ts) web/graphiql/icon.svg
	npm --prefix web run --silent build:app -- --logLevel warn
	@touch $@

web/dist/graphiql/index.html: $(WEB_STAMP) $(wildcard web/graphiql/*)
	npm --prefix web run --silent build:graphiql -- --logLevel warn
	@touch $@

web/dist/swagger/index.html: $(WEB_STAMP) $(wildcard web/swagger/*)
	npm --prefix web run --silent build:swagger
	@touch $@

$(WEB_STAMP): web/package-lock.json
	@echo "Fetching what the pages are built with; this is done once."
	npm --prefix web ci --ignore-scripts --no-progress --loglevel error
	@touch $@

.PHONY: test
test: test-tools ## Run every test
	$(BIN)/python -m pytest -n auto --dist worksteal

.PHONY: test-long
test-long: test-tools ## Run those tests at full length that `make test` keeps short
	LIGHTERAGE_TEST_LONG=1 $(BIN)/python -m pytest -n auto --dist worksteal -m long

.PHONY: test-tools
test-tools: $(DEV_STAMP) ## Get the servers and clients that tests use (Go, Java, npm), where they can be had
	@$(BIN)/python -m tests.support.tools

.PHONY: lint
lint: $(DEV_STAMP) ## Format check, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: lint-files
lint-files: $(LINT_STAMP) ## Check scripts, container files and workflows
	$(LINT)/shellcheck .ci/run .ci/image deploy/ec2/user-data.sh tests/clients/curl.sh
	$(LINT)/hadolint --failure-threshold style Dockerfile web/Dockerfile
	$(LINT)/zizmor --quiet --offline --persona auditor .github
	$(LINT)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: format
format: $(DEV_STAMP) ## Format and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(DEV_STAMP) ## Measure uploads and downloads, beside the peers that are there
	$(BIN)/python -m benchmarks.upload
	$(BIN)/python -m benchmarks.upload --s3 --output benchmarks/results/upload-s3.json

.PHONY: bench-peers
bench-peers: .tools/bin/tusd .tools/bin/versitygw benchmarks/peers/node_modules/.stamp ## Get the servers to compare with, and an S3 server (Go, npm)

.tools/bin/tusd:
	mkdir -p .tools/tusd
	printf 'module peer\n\ngo 1.24\n\nrequire github.com/tus/tusd/v2 v2.10.0\n' > .tools/tusd/go.mod
	cd .tools/tusd && go build -mod=mod -o ../bin/tusd github.com/tus/tusd/v2/cmd/tusd

.tools/bin/versitygw: $(DEV_STAMP)
	$(BIN)/python -m tests.support.s3 build

benchmarks/peers/node_modules/.stamp: benchmarks/peers/package-lock.json
	npm --prefix benchmarks/peers ci --ignore-scripts --no-progress --loglevel error
	@touch $@

.PHONY: image
image: ## Build the container image (docker, or BUILDER=buildah); ARGS='--build-arg BASE=…' for another base
	$(BUILDER) build -t lighterage $(ARGS) .

.PHONY: tf-apply
tf-apply: $(DEV_STAMP) .tools/moto/bin/moto_server ## Apply Terraform's module `core` to a stand-in for AWS on this machine
	$(BIN)/python -m tests.support.terraform

.tools/moto/bin/moto_server:
	$(PYTHON) -m venv .tools/moto
	.tools/moto/bin/python -m pip install -q --disable-pip-version-check 'moto[server]>=5.1,<6'

.PHONY: sbom
sbom: $(LINT_STAMP) $(RUN_STAMP) ## List every part with its version and licence: dist/sbom-*.json (CycloneDX)
	@mkdir -p dist
	@$(LINT)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --mc-type application --short-PURLs \
		--output-reproducible -o dist/sbom-python.json 2>/dev/null
	$(BIN)/python -m tests.support.sbom dist/sbom-web.json

.PHONY: reference
reference: $(DEV_STAMP) ## Write the tables of docs/reference again
	$(BIN)/python -m tests.support.reference

.PHONY: lock
lock: ## Write the hash-locked requirements again (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --extra build pyproject.toml -o requirements.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --extra build --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

.PHONY: clean
clean: ## Remove what the targets built; your data directory stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist web/dist web/node_modules tests/clients/node_modules

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Lighterage needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(LINT_STAMP): .ci/lint-tools.txt
	$(PYTHON) -m venv .tools/lint
	$(LINT)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@
