DIR := tests/unit/mlrt
NAME := mlrt
SRCS := mlrt_test.c samples.c functions_test.c layers_test.c integer_test.c open_test.c train_test.c
COVERS := $(addprefix host/malv-model/,arena.c chain.c pack.c quantise.c)
NEEDS := lib/mlrt
LIBS := -lm
include tools/build/unit-test.mk
