PROGRAM_PLACE := guest
PROGRAM_LDFLAGS_$(NAME) := -static -s
ifneq ($(INSTALL),none)
GUEST_PROGRAMS += $(or $(INSTALL),bin/$(NAME)):$(BUILD)/guest/$(NAME)
endif
INSTALL :=
include tools/build/program.mk
