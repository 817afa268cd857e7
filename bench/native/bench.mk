# A benchmark of gpud without a machine, build/bench/NAME.
NEEDS += bench/native tests/vhost-front
PROGRAM_PLACE := bench
PROGRAM_LDFLAGS_$(NAME) :=
BENCHES += $(BUILD)/bench/$(NAME)
$(BUILD)/bench/$(NAME): | $(BUILD)/host/gpud
include tools/build/program.mk
