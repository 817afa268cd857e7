DIR := tests/unit/cuda
NAME := gpud_cuda
SRCS := cuda_test.c
COVERS := host/gpud/device_cuda.c host/gpud/cuda_api.c host/gpud/cuda_program.c host/gpud/cuda_queue.c \
  host/gpud/cuda_gemm.c host/gpud/ptx_params.c host/gpud/matrix.c host/gpud/log.c
LIBS := $(CUDA_STAND_IN_LINK) -lpthread
include tools/build/unit-test.mk
$(BUILD)/tests/gpud_cuda: $(CUDA_STAND_IN_LIBS)
