DIR := modules/mlaas/mem_readahead
NAME := mem_readahead
SRCS := mem_readahead.c pattern.c image.S
NEEDS := modules/linux modules/mlaas/models
include tools/build/kmod.mk
$(BUILD)/obj/k/modules/mlaas/mem_readahead/image.S.o: modules/mlaas/mem_readahead/mem_readahead.mlm
