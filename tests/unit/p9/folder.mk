DIR := tests/unit/p9
NAME := p9
SRCS := p9_test.c
NEEDS := lib/p9
include tools/build/unit-test.mk
