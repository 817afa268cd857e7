# The stores of MLaaS in a machine, under load; the guest program t_stores steers it (tests/vm/mlaas_stores).
STORES_MODELS := net_31_256_2 net_31_256_256_256_2 net_15_10_1 net_5_15_5_4 torch_lstm
TEST_PROGRAMS += $(foreach m,$(STORES_MODELS),lib/models/$(m).mlm:$(BUILD)/models/$(m).mlm)

DIR := tests/mlaas_stores
NAME := stores_test
SRCS := main.c load.c batch.c costs.c
NEEDS := modules/linux modules/mlaas/features modules/mlaas/models modules/mlaas/batch modules/mlaas/mlrt
INSTALL := none
include tools/build/kmod.mk
