# The module's algorithm and the replay that judges it.
DIR := tests/unit/gpu_evict
NAME := gpu_evict
SRCS := gpu_evict_test.c
COVERS := $(addprefix bench/gpu-replay/,replay.c offline.c informed.c trace.c)
NEEDS := modules/mlaas/gpu_evict/evict
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
