DIR := tests/unit/vring
NAME := vring
SRCS := vring_test.c
NEEDS := lib/vring
include tools/build/unit-test.mk
