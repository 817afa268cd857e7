DIR := tests/fuzz/onnx
NAME := fuzz_onnx
SRCS := fuzz_onnx.c
COVERS := $(addprefix host/malv-model/,arena.c chain.c pack.c onnx_graph.c onnx_tensor.c onnx_shapes.c onnx_layers.c \
  onnx_cells.c onnx_trees.c)
NEEDS := lib/mlrt host/files onnx
LIBS := -lprotobuf-c -lm
include tools/build/unit-test.mk
