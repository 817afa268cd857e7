# A loadable kernel module: one folder, one NAME.kmod. `exports` in the folder, if there is one, lists
# the symbols that other modules may use, one a line with a reason; all others become local.
# HOT: sources that are compiled for speed; all others for size.
# INSTALL := none: only the tests' boot archive has it.
# NEEDS: lib/* folders and libraries below the module's own folder are linked in; other modules/* folders are
# ones whose exported header is included.
# NAME.kmod.full is the linked module, for gdb; NAME.kmod, what a machine loads, is made from it.
# Every module is signed with the build's key, which is made on first use (exports.mk).
KMODPACK := $(BUILD)/host/kmodpack
KMODSIGN := $(BUILD)/host/kmodsign
MODULE_KEY := $(BUILD)/keys/module.key
SRCS_$(DIR) := $(addprefix $(DIR)/,$(SRCS))
NEEDS_$(DIR) := $(NEEDS)
KMOD_OBJS_$(NAME) := $(call objects,k,$(sort $(SRCS_$(DIR)) $(call needs_srcs,$(filter lib/% $(DIR)/%,$(NEEDS)))))
KMOD_EXPORTS_$(NAME) := $(wildcard $(DIR)/exports)
$(BUILD)/modules/$(NAME).kmod: $(KMOD_OBJS_$(NAME)) $(KMOD_EXPORTS_$(NAME)) tools/build/link-kmod $(KMODPACK) $(MODULE_KEY) $(DIR)/folder.mk | $(KMODSIGN)
	@mkdir -p $(@D)
	$(Q)tools/build/link-kmod $@.full "$(KMOD_EXPORTS_$(basename $(notdir $@)))" $(KMOD_OBJS_$(basename $(notdir $@)))
	$(Q)$(KMODPACK) $@.full $@
	$(Q)$(KMODSIGN) sign $(MODULE_KEY) $@
ifeq ($(INSTALL),none)
TEST_KMODS += $(BUILD)/modules/$(NAME).kmod
else
KMODS += $(BUILD)/modules/$(NAME).kmod
endif
INSTALL :=
ALL += $(BUILD)/modules/$(NAME).kmod
DEPS += $(call deps_of,$(KMOD_OBJS_$(NAME)))
$(call objects,k,$(addprefix $(DIR)/,$(HOT))): EXTRA_CFLAGS := -O2
DIR :=
HOT :=
NAME :=
SRCS :=
NEEDS :=
LIBS :=
