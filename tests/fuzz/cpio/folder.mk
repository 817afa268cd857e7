DIR := tests/fuzz/cpio
NAME := fuzz_cpio
SRCS := fuzz_cpio.c
NEEDS := lib/cpio
include tools/build/unit-test.mk
