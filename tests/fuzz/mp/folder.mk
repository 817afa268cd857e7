DIR := tests/fuzz/mp
NAME := fuzz_mp
SRCS := fuzz_mp.c
COVERS := kernel/arch/x86/mp.c $(addprefix tests/unit/nucleus/,firmware.c stand_ins.c)
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk
