DIR := tests/unit/tensorfile
NAME := tensorfile
SRCS := tensorfile_test.c
NEEDS := lib/tensorfile
include tools/build/unit-test.mk
