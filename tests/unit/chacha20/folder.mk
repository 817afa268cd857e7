DIR := tests/unit/chacha20
NAME := chacha20
SRCS := chacha20_test.c
NEEDS := lib/chacha20
include tools/build/unit-test.mk
