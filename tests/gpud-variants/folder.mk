# Other builds of gpud for its tests. One whose front dies of certain requests: see fragile.c.
GPUD_FRAGILE_OBJS := $(call objects,s,tests/gpud-variants/fragile.c)
GPUD_FRAGILE := chain_read control_context_create control_context_destroy control_buffer_create
$(BUILD)/tests/gpud-fragile: $(GPUD_ASAN_OBJS) $(GPUD_FRAGILE_OBJS)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined $(foreach f,$(GPUD_FRAGILE),-Wl,--wrap=$(f)) -o $@ $^ -lseccomp -lpthread
TESTS += $(BUILD)/tests/gpud-fragile

# One whose device process lies: see liar.c.
GPUD_LIAR_OBJS := $(call objects,s,tests/gpud-variants/liar.c)
$(BUILD)/tests/gpud-lying: $(GPUD_ASAN_OBJS) $(GPUD_LIAR_OBJS)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined -Wl,--wrap=engine_main -Wl,--wrap=link_send -o $@ $^ -lseccomp -lpthread
TESTS += $(BUILD)/tests/gpud-lying

# What of gpud's code a test reaches: see coverage.c. `make build/tests/gpud-coverage`: no test needs it.
CFLAGS_cover := $(COMMON) -D_GNU_SOURCE -DCL_TARGET_OPENCL_VERSION=120 -O0
GPUD_COVER_OBJS := $(call objects,cover,$(SRCS_host/gpud) $(call needs_srcs,lib/ed25519))
GPUD_COVER_OWN := $(call objects,cover,tests/gpud-variants/coverage.c)
$(BUILD)/obj/cover/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_cover) -fsanitize-coverage=trace-pc -c $< -o $@
$(GPUD_COVER_OWN): tests/gpud-variants/coverage.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_cover) -c $< -o $@
$(BUILD)/tests/gpud-coverage: $(GPUD_COVER_OBJS) $(GPUD_COVER_OWN)
	$(Q)$(CC) -o $@ $^ -lseccomp -lpthread
DEPS += $(call deps_of,$(GPUD_FRAGILE_OBJS) $(GPUD_LIAR_OBJS) $(GPUD_COVER_OBJS) $(GPUD_COVER_OWN))
