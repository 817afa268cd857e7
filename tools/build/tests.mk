# The list of unit tests for tests/run.
$(BUILD)/tests.list: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(UNIT_TESTS) | cmp -s - $@ || printf '%s\n' $(UNIT_TESTS) > $@
TESTS += $(BUILD)/tests.list
