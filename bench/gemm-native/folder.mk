# A 1024 x 1024 x 1024 product through gpud, without a machine, beside oneDNN called directly.
DIR := bench/gemm-native
NAME := gemm-native
SRCS := gemm_native.c
NEEDS := lib/gpucmd
LIBS := -ldnnl
include bench/native/bench.mk
