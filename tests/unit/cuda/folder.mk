DIR := tests/unit/cuda
NAME := gpud_cuda
SRCS := cuda_test.c fake_driver.c
COVERS := host/gpud/device_cuda.c host/gpud/cuda_program.c host/gpud/cuda_queue.c host/gpud/cuda_gemm.c \
  host/gpud/ptx_params.c host/gpud/matrix.c host/gpud/log.c
include tools/build/unit-test.mk
