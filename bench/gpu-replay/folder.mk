# Replays recorded touches of GPU buffers through LRU, gpu_evict and what is best with the future known.
$(call objects,h,$(addprefix bench/gpu-replay/,main.c replay.c offline.c informed.c)): EXTRA_CFLAGS := -Ikernel/include
DIR := bench/gpu-replay
NAME := gpu-replay
SRCS := main.c trace.c replay.c offline.c informed.c
NEEDS := lib/mlrt modules/mlaas/gpu_evict/evict
PROGRAM_PLACE := bench
BENCHES += $(BUILD)/bench/$(NAME)
include tools/build/program.mk
