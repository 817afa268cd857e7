DIR := tests/unit/hostrun
NAME := hostrun
SRCS := hostrun_test.c
COVERS :=
NEEDS := lib/hostrun
include tools/build/unit-test.mk
