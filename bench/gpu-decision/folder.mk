# What gpu_evict's algorithm costs, for machines that count instructions.
$(call objects,h,bench/gpu-decision/main.c): EXTRA_CFLAGS := -Ikernel/include
$(call objects,h,bench/gpu-decision/main.c): modules/mlaas/gpu_evict/gpu_evict.mlm
DIR := bench/gpu-decision
NAME := gpu_decision
INSTALL := none
SRCS := main.c
NEEDS := lib/mlrt modules/mlaas/gpu_evict/evict
include tools/build/guest-program.mk
