DIR := tests/unit/tensors
NAME := gpud_tensors
SRCS := tensors_test.c make.c memory.c rules.c expect.c outcomes.c
COVERS := host/gpud/submit_decode.c host/gpud/operation_decode.c host/gpud/operation_check.c \
  host/gpud/operation_rules.c host/gpud/dnnl_api.c host/gpud/cpu_plan.c host/gpud/cpu_operation.c \
  host/gpud/cpu_network.c host/gpud/cpu_dense.c host/gpud/cpu_norm.c host/gpud/cpu_elementwise.c \
  host/gpud/cpu_lstm.c host/gpud/matrix.c
NEEDS := tests/tensor-reference
LIBS := -lm
include tools/build/unit-test.mk
