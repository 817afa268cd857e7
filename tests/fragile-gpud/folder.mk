# A gpud under sanitizers whose front dies of certain requests.
FRAGILE_OBJS := $(GPUD_ASAN_OBJS) $(BUILD)/obj/s/tests/fragile-gpud/fragile.c.o
FRAGILE := chain_read control_context_create control_context_destroy control_buffer_create
$(BUILD)/tests/gpud-fragile: $(FRAGILE_OBJS)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined $(foreach f,$(FRAGILE),-Wl,--wrap=$(f)) -o $@ $(FRAGILE_OBJS) -lseccomp -lpthread
TESTS += $(BUILD)/tests/gpud-fragile
DEPS += $(call deps_of,$(BUILD)/obj/s/tests/fragile-gpud/fragile.c.o)
