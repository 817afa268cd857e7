DIR := tests/unit/erofs
NAME := erofs
SRCS := erofs_test.c damage_test.c sample.c
NEEDS := lib/erofs
include tools/build/unit-test.mk
