# Models in the kernel: `malv run --initrd build/boot-test.cpio --append modules=mlrt_test -- mlrt_test`.
MACHINE_MODELS := torch_dense torch_gru torch_lstm boost_iris
MACHINE_INTEGERS := torch_dense torch_gru boost_iris
MACHINE_FILES := $(MACHINE_MODELS:%=%.mlm) $(MACHINE_INTEGERS:%=%-int8.mlm)
MALV_MODEL := $(BUILD)/host/malv-model
$(BUILD)/models/%-int8.mlm: tests/models/%.onnx tests/models/%.cal.mtf $(MALV_MODEL)
	@mkdir -p $(@D)
	$(Q)$(MALV_MODEL) convert $< $@ --int8 $(word 2,$^)
$(BUILD)/models/%.mlm: tests/models/%.onnx $(MALV_MODEL)
	@mkdir -p $(@D)
	$(Q)$(MALV_MODEL) convert $< $@
TEST_PROGRAMS += $(foreach m,$(MACHINE_FILES),lib/models/$(m):$(BUILD)/models/$(m)) \
  $(foreach m,$(MACHINE_MODELS),lib/models/$(m).ref.mtf:tests/models/$(m).ref.mtf)

DIR := tests/mlrt_machine
NAME := mlrt_test
SRCS := main.c
NEEDS := lib/tensorfile modules/mlaas/mlrt
INSTALL := none
include tools/build/kmod.mk
