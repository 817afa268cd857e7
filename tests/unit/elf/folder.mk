DIR := tests/unit/elf
NAME := elf
SRCS := elf_test.c
NEEDS := lib/elf
include tools/build/unit-test.mk
