# Batches of small models: mlrt on the host's processor, and gpud's built-in operations, without a machine.
SIZE_MODELS := net_31_256_2 net_31_256_256_256_2 net_15_10_1 net_5_15_5_4 torch_lstm
BENCHES += $(SIZE_MODELS:%=$(BUILD)/models/%.mlm)
DIR := bench/batch-native
NAME := batch-native
SRCS := batch_native.c
NEEDS := lib/mlrt
LIBS := -lm
include bench/native/bench.mk
