# SPDX-License-Identifier: Apache-2.0
# Ficus: `make help` lists the targets. Variants of one build live side by side:
#   make                      gcc, optimised and hardened, in build/
#   make CC=clang             the same by clang, in build/clang
#   make SAN=asan (or tsan)   with sanitizers, in build/asan (build/tsan)
#   make TESTHOOKS=1          with failpoints compiled in, in build/hooks
# V=1 shows every command. Sources are found by wildcard; nothing is registered here.

VERSION := 0.1.0
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
FUZZ_TIME ?= 60

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= $(firstword $(shell command -v clang-14 clang 2>/dev/null) clang)
SAN ?=
TESTHOOKS ?=

# ---- variant -> folder and flags
ifneq ($(SAN),)
BUILD ?= build/$(SAN)
else ifneq ($(TESTHOOKS),)
BUILD ?= build/hooks
else ifneq ($(findstring clang,$(CC)),)
BUILD ?= build/clang
else
BUILD ?= build
endif

PKGS := libevent_core libevent_pthreads libpq jansson rdkafka openssl libxxhash odbc odbcinst
# Asked for on first use, so that `make deps` works before pkg-config exists.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wvla
OPT  := -O2 -g
HARDEN := -fstack-protector-strong -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now
# Taken from our archive before libc's: see base/c11_threads.c.
LDFLAGS += -Wl,-u,cnd_timedwait
DEFS := -D_GNU_SOURCE -DFICUS_VERSION='"$(VERSION)"'

ifeq ($(SAN),asan)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT := -O1 -g
else ifeq ($(SAN),tsan)
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS += -Wl,-u,thrd_create
OPT := -O1 -g
else ifeq ($(SAN),fuzz)
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
CC := $(CLANG)
OPT := -O1 -g
else ifeq ($(SAN),)
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
$(error SAN is asan, tsan or fuzz, not "$(SAN)")
endif
ifneq ($(TESTHOOKS),)
DEFS += -DFICUS_FAILPOINTS=1
endif

ALL_CFLAGS = -std=c17 $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) $(DEFS) -I. $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(LDHARDEN) $(SANFLAGS) $(LDFLAGS)
LIBS = $(PKG_LIBS) -lexpat -lcrypt -lpthread -lm

# ---- sources
FOLDERS := base connectors migrations routes cdc facade cli
SRCS := $(sort $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c $(d)/*/*.c)))
LIB_SRCS := $(filter-out cli/main.c,$(SRCS))
EMBEDDED := $(sort $(wildcard migrations/sql/control/*.sql migrations/*.schema.json \
	migrations/*/*.schema.json routes/*.schema.json routes/*/*.schema.json facade/*/*.schema.json))
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/%.o) $(BUILD)/gen/embed.o
LIB := $(BUILD)/libficus.a
BIN := $(if $(wildcard cli/main.c),$(BUILD)/ficus)

UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
UNIT_SHARED := $(filter-out $(UNIT_SRCS),$(sort $(wildcard tests/unit/*.c)))
UNIT_OBJS := $(UNIT_SHARED:%.c=$(BUILD)/%.o)
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(BUILD)/unit/%)
# C programs that tests/integration/*.py run against real servers.
INT_SRCS := $(sort $(wildcard tests/integration/test_*.c))
INT_BINS := $(INT_SRCS:tests/integration/%.c=$(BUILD)/integration/%)
STUBS := $(patsubst tests/stub/%.c,$(BUILD)/stub/%.so,$(sort $(wildcard tests/stub/*.c)))
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINS := $(FUZZ_SRCS:tests/fuzz/%.c=build/fuzz/bin/%)

# Link flags of single unit tests, such as `test_x_LDFLAGS := -Wl,--wrap=malloc`.
-include tests/unit/link.mk

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-6s %s\n'
MAKEFLAGS += --no-print-directory
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all deps sqlmap bench-deps model model-deps torture torture-capture demo check check-unit check-int fuzz fuzz-build fuzz-replay asan tsan bench \
	lint format docs install clean help units run-units programs FORCE

all: $(LIB) $(BIN) ## Build the library and the binary `ficus`

# ---- compile and link
# These files change only when the flags or the list of objects do.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(foreach w,$(CC) $(ALL_CFLAGS),'$(subst ','\'',$(w))') >$@.new; \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
$(BUILD)/objects: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(LIB_OBJS) >$@.new; \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/embed.c: $(EMBEDDED) scripts/embed.py $(BUILD)/embedded
	$(say) EMBED $@
	@mkdir -p $(@D)
	$(Q)$(PYTHON) scripts/embed.py $@ $(EMBEDDED)
$(BUILD)/embedded: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(EMBEDDED) >$@.new; \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
$(BUILD)/gen/embed.o: $(BUILD)/gen/embed.c $(BUILD)/flags
	$(say) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJS) $(BUILD)/objects
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJS)

$(BUILD)/ficus: $(BUILD)/cli/main.o $(LIB)
	$(say) LINK $@
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# ---- unit tests
units: $(UNIT_BINS) $(STUBS)
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_OBJS) $(LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $($*_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
programs: $(INT_BINS)
$(BUILD)/integration/%: $(BUILD)/tests/integration/%.o $(LIB)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$(BUILD)/stub/%.so: tests/stub/%.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fPIE,$(ALL_CFLAGS)) -fPIC -shared -MMD -MP -o $@ $< $(LDFLAGS) $(stub_$*_FLAGS) -lpthread
.SECONDARY: $(UNIT_SRCS:%.c=$(BUILD)/%.o) $(UNIT_OBJS) $(INT_SRCS:%.c=$(BUILD)/%.o)

run-units: units
	$(Q)BUILD=$(BUILD) $(PYTHON) scripts/run_units.py --results $(BUILD)/unit/results.json $(UNIT_BINS)

check-unit: run-units ## Unit tests (cmocka)

asan: ## Unit tests under AddressSanitizer and UBSan, and build/asan/ficus
	$(Q)$(MAKE) SAN=asan TESTHOOKS=1 all run-units
tsan: ## Unit tests under ThreadSanitizer, and build/tsan/ficus
	$(Q)$(MAKE) SAN=tsan TESTHOOKS=1 all run-units

# ---- fuzzing: clang's libFuzzer, always in build/fuzz
fuzz-build:
	$(Q)$(MAKE) SAN=fuzz build/fuzz/libficus.a $(FUZZ_BINS)
build/fuzz/bin/%: build/fuzz/tests/fuzz/%.o build/fuzz/libficus.a
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDHARDEN) $(subst fuzzer-no-link,fuzzer,$(SANFLAGS)) -o $@ $^ $(LIBS)
.SECONDARY: $(FUZZ_SRCS:%.c=build/fuzz/%.o)
fuzz-replay: fuzz-build
	$(Q)$(PYTHON) scripts/run_fuzz.py --replay --results build/fuzz/results.json $(FUZZ_BINS)
fuzz: fuzz-build ## Fuzz each harness for FUZZ_TIME seconds (default 60)
	$(Q)$(PYTHON) scripts/run_fuzz.py --seconds $(FUZZ_TIME) --results build/fuzz/results.json $(FUZZ_BINS)

# ---- everything that runs more than C units
deps: ## Install what is missing: Debian packages, Kafka's jars, two CRM clients
	$(Q)scripts/deps.sh
bench-deps:
	$(Q)scripts/deps.sh bench

check-int: ## Integration tests on real servers (T=FILE or T="-k NAME" narrows)
	$(Q)$(MAKE) all
	$(Q)$(MAKE) TESTHOOKS=1 all
	$(Q)$(MAKE) units
	$(Q)$(MAKE) SAN=asan TESTHOOKS=1 programs
	$(Q)$(PYTHON) scripts/run_pytest.py --results build/pytest.xml $(or $(T),tests/integration tests/legacy tests/consistency)

check: deps ## deps, then every test; ends with "N passed, N failed"
	$(Q)MAKE="$(MAKE)" scripts/check.sh

demo: deps ## The whole loop on real parts in under five minutes (KEEP=1, DEMO_LEGACY=mariadb)
	$(Q)$(MAKE) all
	$(Q)$(PYTHON) tests/demo/main.py

sqlmap: ## sqlmap on every parameter of both dialects (T="NAME .." narrows); not part of check
	$(Q)$(MAKE) all
	$(Q)test -x build/sqlmap/bin/sqlmap || { $(PYTHON) -m venv build/sqlmap && build/sqlmap/bin/python -m pip install \
		-q --disable-pip-version-check --no-deps --require-hashes -r tests/hostile/requirements.txt; }
	$(Q)$(PYTHON) tests/hostile/sqlmap_run.py build/sqlmap/bin/sqlmap $(T)

bench: bench-deps ## Measure against real peers, write build/bench.json and print its table
	$(Q)$(MAKE) all
	$(Q)$(PYTHON) tests/bench/main.py

model: model-deps ## Search the model of the transfer with spin (MODEL_SECONDS bounds each partial search)
	$(Q)$(PYTHON) model/run.py
model-deps:
	$(Q)scripts/deps.sh model

torture: deps ## Clients, transfers and faults at once, then the checker (N faults or SECONDS, SEED, LEGACY)
	$(Q)$(MAKE) all $(BUILD)/stub/slow_disk.so
	$(Q)$(PYTHON) tests/consistency/torture.py --seconds $(or $(SECONDS),60) --n $(or $(N),0) --seed $(or $(SEED),1) \
		--legacy $(or $(LEGACY),sqlite)

torture-capture: deps ## Many sessions write to a legacy; what arrived is compared with the truth (N, SEED, LEGACY, KILLS)
	$(Q)$(MAKE) all
	$(Q)$(PYTHON) tests/consistency/torture_capture.py --changes $(or $(N),100000) --seed $(or $(SEED),1) \
		--legacy $(or $(LEGACY),mariadb) --kills $(or $(KILLS),20)

lint: ## Layering, headers, banned calls, format, clang-tidy, cppcheck; sizes as a report
	$(Q)scripts/lint.sh

format: ## Rewrite the C sources in house format
	$(Q)git ls-files '*.c' '*.h' | xargs -r clang-format -i

docs: all ## Regenerate the parts of docs/ that come from the program
	$(Q)BUILD=$(BUILD) $(PYTHON) scripts/docs.py

install: all ## Install under PREFIX (default /usr/local); DESTDIR is honoured
	install -D -m 755 $(BUILD)/ficus $(DESTDIR)$(PREFIX)/bin/ficus
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/ficus/LICENSE
	$(Q)BUILD=$(BUILD) $(PYTHON) scripts/docs.py --man
	$(Q)for f in build/man/*.1; do install -D -m 644 "$$f" "$(DESTDIR)$(PREFIX)/share/man/man1/$${f##*/}"; done
	$(Q)for f in $$(find migrations routes -name '*.json' -o -name '*.sql'); do \
		install -D -m 644 "$$f" "$(DESTDIR)$(PREFIX)/share/ficus/$$f"; done

clean: ## Remove what was compiled (downloads in build/kafka, build/venv, build/node stay)
	$(Q)cd build 2>/dev/null && find . -mindepth 1 -maxdepth 1 ! -name kafka ! -name venv ! -name node \
		-exec rm -rf {} + || true

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile

-include $(SRCS:%.c=$(BUILD)/%.d) $(BUILD)/gen/embed.d $(UNIT_SRCS:%.c=$(BUILD)/%.d) \
	$(UNIT_SHARED:%.c=$(BUILD)/%.d) $(INT_SRCS:%.c=$(BUILD)/%.d) $(FUZZ_SRCS:%.c=$(BUILD)/%.d) $(STUBS:.so=.d)
