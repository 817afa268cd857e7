# A unit test: one cmocka program under sanitizers, build/tests/NAME. COVERS lists the sources under
# test by path (kernel, module or host code); NEEDS the folders linked in whole. EXTRA is compiler
# flags for this test's own sources and those it covers (e.g. include paths with stand-ins).
SRCS_$(DIR)/$(NAME) := $(addprefix $(DIR)/,$(SRCS))
TEST_OBJS_$(NAME) := $(patsubst %,$(BUILD)/obj/test-$(NAME)/%.o,$(sort $(SRCS_$(DIR)/$(NAME)) $(COVERS) $(call needs_srcs,$(NEEDS))))
TEST_CFLAGS_$(NAME) := $(EXTRA)
TEST_LIBS_$(NAME) := $(LIBS)
$(BUILD)/obj/test-$(NAME)/%.c.o: TEST_NAME := $(NAME)
$(BUILD)/obj/test-$(NAME)/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_s) $(TEST_CFLAGS_$(TEST_NAME)) -c $< -o $@
$(BUILD)/tests/$(NAME): $(TEST_OBJS_$(NAME)) $(DIR)/folder.mk
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $(TEST_OBJS_$(notdir $@)) $(TEST_LIBS_$(notdir $@)) -lcmocka
TESTS += $(BUILD)/tests/$(NAME)
UNIT_TESTS += $(BUILD)/tests/$(NAME)
DEPS += $(call deps_of,$(TEST_OBJS_$(NAME)))
DIR :=
NAME :=
SRCS :=
COVERS :=
NEEDS :=
EXTRA :=
LIBS :=
