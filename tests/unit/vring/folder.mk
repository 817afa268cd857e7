DIR := tests/unit/vring
NAME := vring
SRCS := vring_test.c
NEEDS := lib/vring
include tools/build/unit-test.mk

DIR := tests/unit/vring
NAME := vring_fuzz
SRCS := vring_fuzz.c
NEEDS := lib/vring
include tools/build/unit-test.mk
