DIR := tests/fuzz/options
NAME := fuzz_options
SRCS := fuzz_options.c
COVERS := tests/unit/nucleus/stand_ins.c
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk
