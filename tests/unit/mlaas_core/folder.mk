DIR := tests/unit/mlaas_core
NAME := mlaas_core
SRCS := guard_test.c choice_test.c
COVERS := modules/mlaas/core/guard_rule.c modules/mlaas/core/choice_text.c
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
