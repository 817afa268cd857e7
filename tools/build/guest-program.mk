PROGRAM_PLACE := guest
PROGRAM_LDFLAGS_$(NAME) := -static -s
ifeq ($(INSTALL),none)
TEST_PROGRAMS += bin/$(NAME):$(BUILD)/guest/$(NAME)
else
GUEST_PROGRAMS += $(or $(INSTALL),bin/$(NAME)):$(BUILD)/guest/$(NAME)
endif
INSTALL :=
include tools/build/program.mk
