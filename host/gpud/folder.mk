DIR := host/gpud
NAME := gpud
SRCS := main.c broker.c keeper.c relay.c cache.c front.c remote.c remote_call.c link.c engine.c engine_requests.c engine_messages.c engine_batch.c sandbox.c sandbox_calls.c memory_limit.c user.c log.c said.c lost.c vhost_message.c vhost_user.c ring.c virtqueue.c inflight.c \
  guest_memory.c machine.c object.c timeline.c watch.c event.c control.c control_requests.c control_query.c seal.c submit.c \
  submit_decode.c operation_decode.c operation_check.c operation_rules.c device.c opencl_api.c opencl_probe.c device_opencl.c opencl_program.c \
  opencl_queue.c opencl_lend.c opencl_operation.c opencl_clblast.c matrix.c cuda_api.c ptx_params.c device_cuda.c cuda_program.c cuda_queue.c cuda_gemm.c dnnl_api.c cpu_crew.c cpu_move.c cpu_plan.c cpu_operation.c cpu_network.c cpu_dense.c cpu_norm.c cpu_elementwise.c cpu_lstm.c
LIBS := -lseccomp -lpthread
NEEDS := lib/ed25519
include tools/build/host-program.mk

# The same under sanitizers, for the tests.
GPUD_ASAN_OBJS := $(call objects,s,$(SRCS_host/gpud) $(call needs_srcs,lib/ed25519))
$(BUILD)/tests/gpud-asan: $(GPUD_ASAN_OBJS)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $(GPUD_ASAN_OBJS) -lseccomp -lpthread
TESTS += $(BUILD)/tests/gpud-asan
DEPS += $(call deps_of,$(GPUD_ASAN_OBJS))
