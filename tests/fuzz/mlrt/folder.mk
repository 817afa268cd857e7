DIR := tests/fuzz/mlrt
NAME := fuzz_mlrt
SRCS := fuzz_mlrt.c
COVERS := $(addprefix host/malv-model/,arena.c chain.c pack.c quantise.c) tests/unit/mlrt/samples.c
NEEDS := lib/mlrt
LIBS := -lm
include tools/build/unit-test.mk
