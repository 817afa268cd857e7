DIR := tests/unit/kmodfile
NAME := kmodfile
SRCS := kmodfile_test.c
COVERS := tests/fuzz/kmodfile/pretend.c
NEEDS := lib/kmodfile
include tools/build/unit-test.mk
