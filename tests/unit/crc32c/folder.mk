DIR := tests/unit/crc32c
NAME := crc32c
SRCS := crc32c_test.c
NEEDS := lib/crc32c
include tools/build/unit-test.mk
