# What a machine boots: the nucleus and the boot archive. They appear whole: a machine that starts
# during a build must not find half of one.

# ---- nucleus ---------------------------------------------------------------------------------
include tools/build/exports.mk

NUCLEUS_OBJS := $(call objects,k,$(NUCLEUS_SRCS) $(sort $(call needs_srcs,$(NUCLEUS_NEEDS))))
NUCLEUS_LD := kernel/arch/x86/kernel.ld
NUCLEUS_LINK = ld -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T $(NUCLEUS_LD)

$(BUILD)/gen/nucleus.first: $(NUCLEUS_OBJS) $(EXPORTS_OBJ) $(SYMBOLS_EMPTY_OBJ) $(NUCLEUS_LD) $(filter kernel/%,$(FOLDERS))
	$(Q)$(NUCLEUS_LINK) -o $@ $(NUCLEUS_OBJS) $(EXPORTS_OBJ) $(SYMBOLS_EMPTY_OBJ)
# microlake.elf.full carries the debugging information for gdb.
$(BUILD)/microlake.elf: $(NUCLEUS_OBJS) $(EXPORTS_OBJ) $(SYMBOLS_OBJ) $(NUCLEUS_LD)
	$(Q)$(NUCLEUS_LINK) -o $@.full $(NUCLEUS_OBJS) $(EXPORTS_OBJ) $(SYMBOLS_OBJ)
	$(Q)objcopy --strip-all $@.full $@.tmp
	$(Q)mv $@.tmp $@
ALL += $(BUILD)/microlake.elf

# ---- boot archive ----------------------------------------------------------------------------
# lib/modules/NAME.kmod from KMODS; DEST:SOURCE pairs from GUEST_PROGRAMS (mode 755) and from
# GUEST_FILES (mode 644, e.g. a model); DEST:TARGET of symbolic links from GUEST_LINKS; etc/modules from modules/boot-order.
BOOT_ENTRIES := $(sort $(foreach m,$(KMODS),m:lib/modules/$(notdir $(m)):$(m)) \
  $(addprefix x:,$(GUEST_PROGRAMS)) $(addprefix f:,$(GUEST_FILES)) $(addprefix l:,$(GUEST_LINKS)))
BOOT_SOURCES := $(foreach e,$(filter-out l:%,$(BOOT_ENTRIES)),$(lastword $(subst :, ,$(e))))

# Holds the list itself, so that the archive is made again when an entry goes.
$(BUILD)/boot.list: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(BOOT_ENTRIES) | cmp -s - $@ || printf '%s\n' $(BOOT_ENTRIES) > $@
$(BUILD)/boot.cpio: $(BOOT_SOURCES) $(BUILD)/boot.list modules/boot-order tools/build/make-archive
	$(Q)tools/build/make-archive $@ modules/boot-order $(BOOT_ENTRIES)
ALL += $(BUILD)/boot.cpio

# A machine made for one program: nothing in it but what that takes. BOOT_ONE chooses another program.
BOOT_ONE ?= bin/true:$(BUILD)/guest/true
ONE_MODULES := $(shell sed -e 's/#.*//' -e 's/[?+].*//' modules/boot-order-one)
ONE_ENTRIES := $(foreach m,$(ONE_MODULES),m:lib/modules/$(m).kmod:$(BUILD)/modules/$(m).kmod) x:$(BOOT_ONE)
$(BUILD)/boot-one.cpio: $(ONE_MODULES:%=$(BUILD)/modules/%.kmod) $(lastword $(subst :, ,$(BOOT_ONE))) \
  modules/boot-order-one tools/build/make-archive
	$(Q)tools/build/make-archive $@ modules/boot-order-one $(ONE_ENTRIES)
ALL += $(BUILD)/boot-one.cpio

# The same for a shell: Debian's busybox, which set-up brings. For tests and benchmarks.
BUSYBOX := $(BUILD)/tools/busybox/busybox
BUSYBOX_ENTRIES := $(filter m:%,$(ONE_ENTRIES)) x:bin/busybox:$(BUSYBOX)
$(BUSYBOX):
	$(Q)tools/setup
$(BUILD)/boot-busybox.cpio: $(ONE_MODULES:%=$(BUILD)/modules/%.kmod) $(BUSYBOX) modules/boot-order-one \
  tools/build/make-archive
	$(Q)tools/build/make-archive $@ modules/boot-order-one $(BUSYBOX_ENTRIES)
TESTS += $(BUILD)/boot-busybox.cpio

# What only tests put into a machine, as a second archive behind the first.
TEST_ENTRIES := $(sort $(foreach m,$(TEST_KMODS),m:lib/modules/$(notdir $(m)):$(m)) $(addprefix x:,$(TEST_PROGRAMS)))
TEST_SOURCES := $(foreach e,$(TEST_ENTRIES),$(lastword $(subst :, ,$(e))))
$(BUILD)/boot-test.cpio: $(BUILD)/boot.cpio $(TEST_SOURCES) tools/build/make-archive
	$(Q)tools/build/make-archive $@.second - $(TEST_ENTRIES)
	$(Q)cat $(BUILD)/boot.cpio $@.second > $@.tmp
	$(Q)mv $@.tmp $@
	@rm -f $@.second
TESTS += $(BUILD)/boot-test.cpio

.PHONY: FORCE
FORCE:
