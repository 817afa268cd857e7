DIR := tests/unit/ptx
NAME := gpud_ptx
SRCS := ptx_test.c
COVERS := host/gpud/ptx_params.c host/gpud/cuda_api.c
include tools/build/unit-test.mk
