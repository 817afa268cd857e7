DIR := tests/unit/cpio
NAME := cpio
SRCS := cpio_test.c
NEEDS := lib/cpio
include tools/build/unit-test.mk
