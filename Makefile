# PapJuice: a thin face for Meson. `make help` tells what there is.

BUILD ?= build
FUZZ_SECONDS ?= 60
# handed to meson setup, and to tests/run (see tests/run --help)
MESONFLAGS ?=
TESTFLAGS ?=

python := $(firstword $(wildcard /usr/bin/python3) python3)
# what Meson lists once, when a build is set up
listed := $(sort $(wildcard */meson.build */*/meson.build tests/unit/test_*.c tests/fuzz/fuzz_*.c examples/*.c))
sources := $(sort $(wildcard src/*/*.c cli/*.c examples/*.c tests/unit/*.c tests/fuzz/*.c bench/*.c))
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

.PHONY: all run test check asan tsan valgrind fuzz lint lint-setup lint-format lint-tidy lint-cppcheck format bench \
	install clean help

all:
	@.ci/need build
	$(call compile,$(BUILD),,all)
	@echo 'Built $(BUILD)/papjuice'

help:
	@echo 'make            build/papjuice, the library and the examples'
	@echo 'make run        counts the words of real files with all processors, and shows the result'
	@echo 'make test       the test suite, in less than five minutes; last line: N passed, N failed'
	@echo 'make check      all tests, the slow ones too'
	@echo 'make asan       the test suite with AddressSanitizer and UBSan, in build-asan'
	@echo 'make tsan       the unit tests with ThreadSanitizer, in build-tsan'
	@echo 'make valgrind   the unit tests and short runs of the program under valgrind'
	@echo 'make fuzz       each fuzz target for FUZZ_SECONDS=60, in build-fuzz'
	@echo 'make lint       clang-format, clang-tidy, cppcheck; make format: reformats'
	@echo 'make bench      measures the word count, of BENCH_FILES=... or of made text'
	@echo 'make install    DESTDIR=/somewhere; where else is chosen by MESONFLAGS=--prefix=/usr'
	@echo 'make clean      removes all builds'

run: all
	@$(python) examples/show_counts.py $(BUILD)

test:
	@.ci/need build test
	$(call compile,$(BUILD),,all unit-tests)
	@$(python) tests/run --build $(BUILD) $(TESTFLAGS)

check:
	@.ci/need build test
	$(call compile,$(BUILD),,all unit-tests)
	@$(python) tests/run --build $(BUILD) --slow $(TESTFLAGS)

asan:
	@.ci/need build test
	$(call compile,build-asan,-Db_sanitize=address$(comma)undefined -Db_lundef=false,all unit-tests)
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
	$(call compile,build-fuzz,-Dfuzz=true -Db_sanitize=address$(comma)undefined -Db_lundef=false,all,CC=clang)
	@$(python) tests/run --build build-fuzz --suites fuzz --seconds $(FUZZ_SECONDS) $(TESTFLAGS)

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

bench: all
	@$(python) bench/run $(BUILD) $(BENCH_FILES)

install: all
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet
	@test -n '$(DESTDIR)' || ! command -v ldconfig >/dev/null || ldconfig
	@echo 'Installed$(if $(DESTDIR), under $(DESTDIR))'

clean:
	rm -rf build build-asan build-tsan build-fuzz build-lint

comma := ,
