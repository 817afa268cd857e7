DIR := tests/fuzz/elf
NAME := fuzz_elf
SRCS := fuzz_elf.c
NEEDS := lib/elf
include tools/build/unit-test.mk
