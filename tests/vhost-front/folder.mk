# The front end that tests and benchmarks use to speak to gpud without a machine, and gpud's tests.
DIR := tests/vhost-front
SRCS := front.c front_requests.c
NEEDS :=
include tools/build/library.mk
SRCS_tests/vhost-front += host/gpud/vhost_message.c

# $(call gpud_test,NAME,SOURCES,MORE_NEEDS,LIBS,GPUD): one of gpud's tests, and the gpud that it starts.
define gpud_test
DIR := tests/vhost-front
NAME := $(1)
SRCS := $(2)
NEEDS := tests/vhost-front $(3)
LIBS := $(4)
include tools/build/unit-test.mk
$(BUILD)/tests/$(1): | $(or $(5),$(BUILD)/host/gpud)
endef
$(eval $(call gpud_test,gpud_test,gpud_test.c rig.c))
$(eval $(call gpud_test,gpud_sandbox,sandbox_test.c rig.c))
$(eval $(call gpud_test,gpud_users,users_test.c rig.c))
$(eval $(call gpud_test,gpud_said,said_test.c rig.c))
$(eval $(call gpud_test,gpud_leftovers,leftovers_test.c))
$(eval $(call gpud_test,gpud_limits,limits_test.c rig.c))
$(eval $(call gpud_test,gpud_bad_requests,bad_requests_test.c rig.c))
$(eval $(call gpud_test,gpud_operations,operations_test.c tensor_rig.c rig.c,lib/gpucmd tests/tensor-reference,-lm))
$(eval $(call gpud_test,gpud_networks,networks_test.c tensor_rig.c rig.c,lib/gpucmd tests/tensor-reference,-lm))
$(eval $(call gpud_test,gpud_reconnect,reconnect_test.c rig.c))
$(eval $(call gpud_test,gpud_full,full_test.c rig.c))
$(eval $(call gpud_test,gpud_order,order_test.c rig.c,lib/gpucmd))
$(eval $(call gpud_test,gpud_moves,moves_test.c fuzz_random.c rig.c))
$(eval $(call gpud_test,gpud_commands,commands_test.c rig.c))
$(eval $(call gpud_test,gpud_signals,signal_test.c rig.c,lib/gpucmd))
$(eval $(call gpud_test,gpud_sub_buffers,sub_buffer_test.c rig.c,lib/gpucmd))
$(eval $(call gpud_test,gpud_edges,edges_test.c guarded.c fuzz_random.c rig.c,tests/tensor-reference,-lm))
$(eval $(call gpud_test,gpud_bad_operations,bad_operations_test.c rig.c,lib/gpucmd))
COVERS := tests/unit/tensors/rules.c
$(eval $(call gpud_test,gpud_fuzz,gpud_fuzz.c fuzz_bombs.c fuzz_command_rules.c fuzz_commands.c fuzz_control.c fuzz_count.c \
  fuzz_crowds.c fuzz_events.c fuzz_kills.c fuzz_machine.c fuzz_model.c fuzz_operations.c fuzz_random.c fuzz_rings.c fuzz_rules.c rig.c,tests/tensor-reference,-lm,$(BUILD)/tests/gpud-asan))
$(eval $(call gpud_test,gpud_fuzz_messages,fuzz_messages.c fuzz_random.c rig.c,,,$(BUILD)/tests/gpud-asan))
$(eval $(call gpud_test,gpud_kills,kills_test.c fuzz_random.c rig.c))
$(eval $(call gpud_test,gpud_cuda_front,cuda_test.c fuzz_random.c rig.c,,,$(BUILD)/tests/gpud-cuda))
$(eval $(call gpud_test,gpud_poison,poison_test.c fuzz_random.c rig.c,,,$(BUILD)/tests/gpud-fragile))
$(eval $(call gpud_test,gpud_fuzz_copies,fuzz_copies.c fuzz_random.c rig.c,,,$(BUILD)/tests/gpud-asan))
COVERS := $(addprefix tests/unit/tensors/,make.c memory.c rules.c expect.c outcomes.c)
$(eval $(call gpud_test,gpud_fuzz_tensors,fuzz_tensors.c rig.c,tests/tensor-reference,-lm,$(BUILD)/tests/gpud-asan))
$(eval $(call gpud_test,gpud_fuzz_lies,fuzz_lies.c fuzz_random.c rig.c,,,$(BUILD)/tests/gpud-lying))
