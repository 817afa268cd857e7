# The module's algorithm and the replay that judges it.
DIR := tests/unit/gpu_evict
NAME := gpu_evict
SRCS := gpu_evict_test.c
COVERS := modules/mlaas/gpu_evict/evict.c bench/gpu-replay/replay.c bench/gpu-replay/offline.c \
  bench/gpu-replay/informed.c bench/gpu-replay/trace.c
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
