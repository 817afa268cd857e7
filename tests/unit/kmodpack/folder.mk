DIR := tests/unit/kmodpack
NAME := kmodpack
SRCS := kmodpack_test.c
COVERS := host/kmodpack/object.c host/kmodpack/pack.c
NEEDS := lib/kmodfile host/files
include tools/build/unit-test.mk
