# A 1024 x 1024 x 1024 product through gpud, without a machine, beside oneDNN called directly.
DIR := bench/gemm-native
NAME := gemm-native
SRCS := gemm_native.c
NEEDS := bench/native tests/vhost-front lib/gpucmd
LIBS := -ldnnl
PROGRAM_PLACE := bench
PROGRAM_LDFLAGS_gemm-native :=
include tools/build/program.mk
build/bench/gemm-native: | $(BUILD)/host/gpud
BENCHES += $(BUILD)/bench/gemm-native
