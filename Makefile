# MaLV-OS. `make run` sets up, builds and does the main job; `make test` sets up, builds and tests;
# `make soak` tests for an hour; `make bench` measures. Each folder declares itself in its folder.mk
# (docs/building.md).

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
BUILD := build

# Libraries first: who needs one reads its list of sources.
ALL_FOLDERS := $(sort $(shell find lib kernel modules host user tests bench -name folder.mk))
LIBRARIES := $(shell grep -l tools/build/library.mk /dev/null $(ALL_FOLDERS))
FOLDERS := $(LIBRARIES) $(filter-out $(LIBRARIES),$(ALL_FOLDERS))

include tools/build/flavors.mk
include $(FOLDERS)
include tools/build/image.mk
include tools/build/tests.mk

.PHONY: all run test soak bench setup clean check
all: $(ALL)

setup:
	@tools/setup

# The jobs run in a second make, because what they need exists only after set-up.
run: setup
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tools/first-light

test: setup
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@tests/run

# The long tests, about an hour: tests/soak says what.
soak: setup
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@tests/soak

bench:
	@tools/setup --bench
	@$(MAKE) --no-print-directory -j$$(nproc) all benches
	@bench/run $(ROW)

tests: $(TESTS)
benches: $(BENCHES)

clean:
	rm -rf $(filter-out $(BUILD)/tools,$(wildcard $(BUILD)/*))

-include $(DEPS)
