DIR := tests/fuzz/kmodfile
NAME := fuzz_kmodfile
SRCS := fuzz_kmodfile.c pretend.c
NEEDS := lib/kmodfile
include tools/build/unit-test.mk
