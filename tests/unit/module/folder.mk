# The loader itself, on the build machine: it loads real modules into low memory (hence no PIE), and
# runs them. The stand-ins take the place of the rest of the kernel.
FIXTURES := base user circle_a circle_b missing undeclared failing permanent nester leaver
FIXTURE_KMODS := $(FIXTURES:%=$(BUILD)/tests/fixtures/%.kmod)
$(BUILD)/tests/fixtures/%.kmod: $(BUILD)/obj/k/tests/unit/module/fixtures/%.c.o tools/build/link-kmod tools/build/kmod.ld $(BUILD)/host/kmodpack
	@mkdir -p $(@D)
	$(Q)tools/build/link-kmod $@.full "$(wildcard tests/unit/module/fixtures/$*.exports)" $<
	$(Q)$(BUILD)/host/kmodpack $@.full $@
$(BUILD)/tests/module: $(FIXTURE_KMODS)
DEPS += $(FIXTURES:%=$(BUILD)/obj/k/tests/unit/module/fixtures/%.c.d)

DIR := tests/unit/module
NAME := module
SRCS := module_test.c errors_test.c signature_test.c stand_ins.c space.c
COVERS := $(addprefix kernel/module/,exports.c image.c module.c signature.c symbols.c table.c) kernel/lib/status.c kernel/thread/pass.c
NEEDS := lib/ed25519 lib/ed25519_sign lib/kmodfile
EXTRA := -Ikernel/include -fno-pie
LIBS := -no-pie
include tools/build/unit-test.mk
