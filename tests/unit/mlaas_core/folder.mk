DIR := tests/unit/mlaas_core
NAME := mlaas_core
SRCS := guard_test.c
COVERS := modules/mlaas/core/guard_rule.c
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
