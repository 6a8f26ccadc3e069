# PapJuice: a thin face for Meson. `make help` tells what there is.

BUILD ?= build
FUZZ_SECONDS ?= 60
BENCH_DATA ?= $(BUILD)/bench-data
# handed to meson setup, to tests/run, to tests/fault/chaos.py and to bench/run (see their --help)
MESONFLAGS ?=
TESTFLAGS ?=
CHAOSFLAGS ?=
BENCHFLAGS ?=

python := $(firstword $(wildcard /usr/bin/python3) python3)
# what Meson lists once, when a build is set up
listed := $(sort $(wildcard */meson.build */*/meson.build tests/unit/test_*.c tests/fuzz/fuzz_*.c examples/*.c))
sources := $(sort $(wildcard src/*/*.c cli/*.c examples/*.c tests/unit/*.c tests/fault/*.c tests/fuzz/*.c bench/*.c))
headers := $(sort $(wildcard include/*.h include/papjuice/*.h src/*/*.h tests/unit/*.h))

# $(call compile,FOLDER,OPTIONS OF MESON,TARGETS OF NINJA,ENVIRONMENT): sets a build up, anew if the lists have changed
# or cmocka has come, and compiles
define compile
@mkdir -p $(1)
@echo '$(2) $(MESONFLAGS) $(listed)' "$$(pkg-config --modversion cmocka 2>/dev/null)" >$(1)/listed.new
@if ! cmp -s $(1)/listed.new $(1)/listed || ! test -f $(1)/build.ninja; then \
	echo 'Setting up $(1)'; \
	! test -f $(1)/build.ninja || again=--reconfigure; \
	$(4) meson setup $$again $(1) $(2) $(MESONFLAGS) >$(1)/setup.log 2>&1 || { cat $(1)/setup.log; exit 1; }; \
	mv $(1)/listed.new $(1)/listed; \
fi
@ninja -C $(1) --quiet $(3)
endef

# what tests need beside the program
programs := unit-tests fault-program

.PHONY: all run test check chaos compat stress asan tsan valgrind fuzz lint lint-setup lint-format lint-tidy lint-cppcheck \
	format bench aarch64 install clean help

all:
	@.ci/need build
	$(call compile,$(BUILD),,all)
	@echo 'Built $(BUILD)/papjuice'

help:
	@echo 'make            build/papjuice, the library and the examples'
	@echo 'make run        counts the words of real files with all processors, and shows the result'
	@echo 'make test       the test suite, in less than five minutes; last line: N passed, N failed'
	@echo 'make check      all tests, the slow ones too'
	@echo 'make chaos      kills 3,000 workers and 500 leaders of all jobs; CHAOS_KILLS, CHAOS_LEADERS, CHAOS_SECONDS'
	@echo 'make compat     the same Hadoop Streaming jobs by a Hadoop (HADOOP_HOME or HADOOP_CLASSPATH) and by us'
	@echo 'make stress     ten thousand runs of three streams with each sorter, some minutes'
	@echo 'make asan       the test suite with AddressSanitizer and UBSan, in build-asan'
	@echo 'make tsan       the unit tests with ThreadSanitizer, in build-tsan'
	@echo 'make valgrind   the unit tests and short runs of the program under valgrind'
	@echo 'make fuzz       each fuzz target for FUZZ_SECONDS=60, in build-fuzz'
	@echo 'make lint       clang-format, clang-tidy, cppcheck; make format: reformats'
	@echo 'make bench      measures against probes and tools; inputs in BENCH_DATA, results in bench/results.md'
	@echo 'make aarch64    builds for aarch64 in build-aarch64 and runs the unit tests there, under qemu'
	@echo 'make install    DESTDIR=/somewhere; where else is chosen by MESONFLAGS=--prefix=/usr'
	@echo 'make clean      removes all builds'

run: all
	@$(python) examples/show_counts.py $(BUILD)

test:
	@.ci/need build test
	$(call compile,$(BUILD),,all $(programs))
	@$(python) tests/run --build $(BUILD) $(TESTFLAGS)

check:
	@.ci/need build test
	$(call compile,$(BUILD),,all $(programs))
	@$(python) tests/run --build $(BUILD) --slow $(TESTFLAGS)

# Some ten minutes. Fewer kills, less time, a seed again: CHAOS_KILLS, CHAOS_LEADERS, CHAOS_SECONDS, PAPJUICE_SEED in the
# environment; or CHAOSFLAGS, see tests/fault/chaos.py --help
chaos:
	@.ci/need build test
	$(call compile,$(BUILD),,all $(programs))
	@PAPJUICE=$(BUILD)/papjuice PAPJUICE_BUILD=$(BUILD) $(python) -B tests/fault/chaos.py $(CHAOSFLAGS)

# Needs a Hadoop, which is told by HADOOP_HOME or HADOOP_CLASSPATH
compat: all
	@$(python) tests/compat/compare.py --papjuice $(BUILD)/papjuice

stress: all
	@$(BUILD)/examples/fifty_runs 10000 --quiet

asan:
	@.ci/need build test
	$(call compile,build-asan,-Db_sanitize=address$(comma)undefined -Db_lundef=false,all $(programs))
	@$(python) tests/run --build build-asan --sanitize address,undefined $(TESTFLAGS)

# ThreadSanitizer sees one process: a mutex that others lock and unlock, too, confuses it
tsan:
	@.ci/need build test
	$(call compile,build-tsan,-Db_sanitize=thread -Db_lundef=false,unit-tests)
	@$(python) tests/run --build build-tsan --sanitize thread --suites unit --without lock,manager $(TESTFLAGS)

# manager_kill stops a process at each of its instructions, which takes for ever there
valgrind:
	@.ci/need build test valgrind
	$(call compile,$(BUILD),,all unit-tests)
	@$(python) tests/run --build $(BUILD) --valgrind --without manager_kill $(TESTFLAGS)

fuzz:
	@.ci/need build test fuzz
	$(call compile,build-fuzz,-Dfuzz=true -Db_sanitize=address$(comma)undefined -Db_lundef=false,fuzz-targets,CC=clang)
	@$(python) tests/run --build build-fuzz --suites fuzz --seconds $(FUZZ_SECONDS) --jobs "$$(nproc)" $(TESTFLAGS)

lint: lint-format lint-tidy lint-cppcheck

lint-setup:
	@.ci/need build test lint
	$(call compile,build-lint,-Dfuzz=true -Db_lundef=false,tests/unit/sum_vectors.h,CC=clang)

lint-format: lint-setup
	@clang-format --dry-run -Werror $(sources) $(headers)

lint-tidy: lint-setup
	@printf '%s\n' $(sources) | xargs -P "$$(nproc)" -n 4 clang-tidy -p build-lint --quiet

lint-cppcheck: lint-setup
	@cppcheck --project=build-lint/compile_commands.json --quiet --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=.cppcheck --error-exitcode=1 -j "$$(nproc)"

format:
	@.ci/need lint
	@clang-format -i $(sources) $(headers)
	@$(python) tests/house/shorten_comments.py $(sources) $(headers)

# Inputs of 9 GB, which are kept. Tools that are missing are left out. BENCHFLAGS: see bench/run --help; with
# '--only all,sortbig' 10 GB are sorted, too, which needs 40 GB of disk
bench: all
	@.ci/need bench || echo 'Goes on without them'
	@$(python) bench/run --build $(BUILD) --data $(BENCH_DATA) --results bench/results.md $(BENCHFLAGS)

# Meson's build folder also holds the libraries for arm64 (tests/aarch64/prepare)
aarch64: all
	@.ci/need build test aarch64
	@tests/aarch64/prepare build-aarch64
	$(call compile,build-aarch64,--cross-file build-aarch64/cross.ini,all unit-tests)
	@tests/aarch64/run build-aarch64 $(BUILD)

install: all
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet
	@test -n '$(DESTDIR)' || ! command -v ldconfig >/dev/null || ldconfig
	@echo 'Installed$(if $(DESTDIR), under $(DESTDIR))'

clean:
	rm -rf build build-asan build-tsan build-fuzz build-lint build-aarch64

comma := ,
