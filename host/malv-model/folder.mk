# ONNX's own .proto, from Debian's python3-onnx, as C.
ONNX_PROTO := /usr/lib/python3/dist-packages/onnx/onnx-ml.proto
ONNX_C := $(BUILD)/gen/onnx/onnx-ml.pb-c.c
$(ONNX_PROTO):
	$(Q)tools/setup
$(ONNX_C): $(ONNX_PROTO)
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)
$(BUILD)/gen/onnx/onnx-ml.pb-c.h: $(ONNX_C)
SRCS_onnx := $(ONNX_C)

DIR := host/malv-model
NAME := malv-model
SRCS := main.c command_convert.c command_info.c command_check.c command_time.c model_file.c arena.c chain.c \
  pack.c quantise.c onnx_graph.c onnx_tensor.c onnx_shapes.c onnx_layers.c onnx_cells.c onnx_trees.c
MODEL_ONNX_SRCS := $(filter onnx_%,$(SRCS))
$(foreach f,h s test-fuzz_onnx,$(call objects,$(f),$(addprefix $(DIR)/,$(MODEL_ONNX_SRCS)))): | $(ONNX_C)
NEEDS := host/files lib/mlrt lib/crc32 lib/tensorfile onnx
LIBS := -lprotobuf-c -lm
include tools/build/host-program.mk
