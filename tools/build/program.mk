# A program. KIND := host-program runs on the host; KIND := guest-program is a static Linux program
# that goes into the boot archive as bin/NAME (INSTALL := path for another place; INSTALL := none for
# a program that only tests put in).
# NEEDS: folders whose sources are linked in (lib/*, user/libmalv).
SRCS_$(DIR) := $(addprefix $(DIR)/,$(SRCS))
NEEDS_$(DIR) := $(NEEDS)
PROGRAM_OBJS_$(NAME) := $(call objects,h,$(sort $(SRCS_$(DIR)) $(call needs_srcs,$(NEEDS))))
PROGRAM_LIBS_$(NAME) := $(LIBS)
$(BUILD)/$(PROGRAM_PLACE)/$(NAME): $(PROGRAM_OBJS_$(NAME)) $(DIR)/folder.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROGRAM_LDFLAGS_$(notdir $@)) -o $@ $(PROGRAM_OBJS_$(notdir $@)) $(PROGRAM_LIBS_$(notdir $@))
ALL += $(BUILD)/$(PROGRAM_PLACE)/$(NAME)
DEPS += $(call deps_of,$(PROGRAM_OBJS_$(NAME)))
DIR :=
NAME :=
SRCS :=
NEEDS :=
LIBS :=
