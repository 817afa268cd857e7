# The algorithm of gpu_evict, by itself: bench/gpu-replay, bench/gpu-decision and the unit test link it too.
DIR := modules/mlaas/gpu_evict/evict
SRCS := touch.c history.c risk.c order.c guess.c expect.c question.c
HOT := $(SRCS)
$(call objects,h,$(addprefix $(DIR)/,$(SRCS))): EXTRA_CFLAGS := -Ikernel/include
include tools/build/library.mk
