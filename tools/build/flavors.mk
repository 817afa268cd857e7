# The flavors a C file is compiled in, and the helpers that the kinds of folder share.
#   k  kernel and modules: freestanding, general registers only
#   h  programs of the host and of the guest (they are both ordinary Linux programs)
#   p  the same as h, position-independent: libraries that programs outside this tree link with
#   s  the same as h under address and undefined-behaviour sanitizers: tests

CC := gcc
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Werror
COMMON := -std=gnu11 -O2 -g -fno-strict-aliasing -fno-common $(WARN) -I. -I$(BUILD)/gen -MMD -MP

# Modules and nucleus must be compiled against the same headers; the loader compares this number.
INTERFACE := $(BUILD)/gen/kmod_interface.h
$(shell tools/build/gen-interface $(INTERFACE))

# Small code starts faster where it is translated (TCG); what runs all the time is HOT.
# Copies and fills of unknown length are calls: -Os would make them rep movsb, which emulators take byte by
# byte; kernel/lib/string.c goes by words. snprintf() of a constant text would become strcpy(), which is not there.
CFLAGS_k := $(COMMON) -include $(INTERFACE) -Os -ffreestanding -fbuiltin -fno-builtin-snprintf -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
  -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
  -fno-omit-frame-pointer -fno-optimize-sibling-calls -ffunction-sections \
  -mstringop-strategy=libcall -Ikernel/include -Ikernel/arch/x86/include
CFLAGS_kv := $(filter-out -Os -mgeneral-regs-only,$(CFLAGS_k)) -O2
CFLAGS_h := $(COMMON) -D_GNU_SOURCE -DCL_TARGET_OPENCL_VERSION=120 -fstack-protector-strong
CFLAGS_p := $(CFLAGS_h) -fPIC -fvisibility=hidden
CFLAGS_s := $(COMMON) -D_GNU_SOURCE -DCL_TARGET_OPENCL_VERSION=120 -O1 -fno-omit-frame-pointer \
  -fsanitize=address,undefined -fno-sanitize-recover=undefined
# For tests of the nucleus's sources: headers that stand in for the machine come before its own.
STAND_INS := -Itests/unit/nucleus/include -Ikernel/include -Ikernel/arch/x86/include

# $(call objects,FLAVOR,SOURCES)
objects = $(patsubst %,$(BUILD)/obj/$(1)/%.o,$(2))

define flavor_rules
$(BUILD)/obj/$(1)/%.c.o: %.c tools/build/flavors.mk
	@mkdir -p $$(@D)
	$$(Q)$(CC) $$(CFLAGS_$(1)) $$(EXTRA_CFLAGS) -c $$< -o $$@
$(BUILD)/obj/$(1)/%.S.o: %.S tools/build/flavors.mk
	@mkdir -p $$(@D)
	$$(Q)$(CC) $$(CFLAGS_$(1)) $$(EXTRA_CFLAGS) -c $$< -o $$@
endef
Q := $(if $(V),,@)
$(foreach f,k h p s,$(eval $(call flavor_rules,$(f))))

# Every folder that others may need says what its sources are: SRCS_<folder>. NEEDS are resolved
# one level deep: a library names all libraries it uses in its own NEEDS.
ALL :=
TESTS :=
UNIT_TESTS :=
BENCHES :=
DEPS :=
NUCLEUS_SRCS :=
NUCLEUS_NEEDS :=
KMODS :=
GUEST_PROGRAMS :=
TEST_KMODS :=
TEST_PROGRAMS :=
GUEST_FILES :=
GUEST_LINKS :=
needs_srcs = $(foreach n,$(1),$(SRCS_$(n)) $(foreach m,$(NEEDS_$(n)),$(SRCS_$(m))))
deps_of = $(patsubst %.o,%.d,$(1))
