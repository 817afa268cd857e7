# The model: tools/train/gpu_evict.py modules/mlaas/gpu_evict/gpu_evict.mlm bench/gpu-traces/train/*.trace, after `make`.
$(call objects,k,modules/mlaas/gpu_evict/gpu_evict.c): modules/mlaas/gpu_evict/gpu_evict.mlm
DIR := modules/mlaas/gpu_evict
NAME := gpu_evict
SRCS := gpu_evict.c
NEEDS := modules/mlaas/mlrt modules/mlaas/models modules/mlaas/gpu_evict/evict
include tools/build/kmod.mk
