# hot_reload: everything a developer types.  `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUILD ?= build

CORE := $(wildcard src/*/*.c src/*/*.h) meson.build meson.options pyproject.toml
PACKAGE := $(wildcard hot_reload/*.py hot_reload/tab.*)
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools

C_TESTS := $(patsubst tests/c/%.c,$(BUILD)/c/%,$(wildcard tests/c/test_*.c))
CFLAGS_TEST ?= -std=c11 -D_GNU_SOURCE -DHR_TESTING -g -O1 \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Werror

.PHONY: help build test demo demo-check bench bench-quick asan stress fuzz \
	matrix lint format clean c-tests

help:
	@echo "make demo        set up and run the demo webui"
	@echo "make test        set up and run all tests"
	@echo "make build       create $(VENV) and install the package into it"
	@echo "make demo-check  drive the demo without a browser"
	@echo "make bench       benchmarks; bench-quick: in two minutes"
	@echo "make asan        the core under AddressSanitizer and UBSan"
	@echo "make stress      threads, forks, shutdowns, for minutes"
	@echo "make fuzz        libFuzzer on the splitter"
	@echo "make matrix      core tests on every Python from 3.9 on this machine"
	@echo "make lint        clang-format, clang-tidy, ruff"

# -- build ---------------------------------------------------------------------

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python $(CORE) $(PACKAGE)
	@echo "building hot_reload for $$($(BIN)/python --version) ..."
	$(BIN)/python -m pip install -q . $(PIP_BUILD_ARGS)
	@touch $@

build: $(STAMP)

$(TOOLS): $(VENV)/bin/python tests/requirements.txt demo/requirements.txt
	$(BIN)/python -m pip install -q -r tests/requirements.txt -r demo/requirements.txt
	@touch $@

# -- tests ---------------------------------------------------------------------

$(BUILD)/c/%: tests/c/%.c $(wildcard tests/c/*.h) $(wildcard src/watch/*.[ch] src/lex/*.[ch])
	@mkdir -p $(BUILD)/c
	$(CC) $(CFLAGS_TEST) -Isrc -Isrc/watch -Isrc/lex -Itests/c $< \
		$(if $(findstring test_watch,$<),$(wildcard src/watch/*.c)) \
		$(if $(findstring test_lex,$<),$(wildcard src/lex/*.c)) \
		-lpthread -o $@

c-tests: $(C_TESTS)

test: $(STAMP) $(TOOLS) c-tests
	HOT_RELOAD_C_TESTS=$(abspath $(BUILD)/c) $(BIN)/pytest tests $(PYTEST_ARGS)

demo: $(STAMP) $(TOOLS)
	$(BIN)/python demo/server.py --extensions hot_reload $(DEMO_ARGS)

demo-check: $(STAMP) $(TOOLS)
	$(BIN)/python demo/check.py

bench:
	$(PYTHON) bench/run.py $(BENCH_ARGS)

bench-quick:
	$(PYTHON) bench/run.py --quick $(BENCH_ARGS)

asan:
	PYTHON=$(PYTHON) tests/asan.sh

stress: $(STAMP) $(TOOLS)
	$(BIN)/python tests/stress/run.py

fuzz:
	tests/fuzz/run.sh

matrix:
	tests/matrix.sh

lint: $(TOOLS)
	clang-format --dry-run --Werror $(wildcard src/*/*.[ch] tests/c/*.[ch] tests/fuzz/*.c)
	tests/tidy.sh $(BIN)/python
	$(BIN)/ruff check .

format:
	clang-format -i $(wildcard src/*/*.[ch] tests/c/*.[ch] tests/fuzz/*.c)

clean:
	rm -rf $(VENV) $(BUILD) build-* .pytest_cache .hypothesis .ruff_cache .matrix
