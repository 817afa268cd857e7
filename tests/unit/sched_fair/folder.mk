DIR := tests/unit/sched_fair
NAME := sched_fair
SRCS := sched_fair_test.c model_test.c simulator.c
COVERS := modules/mlaas/sched_fair/fair.c modules/mlaas/sched_fair/tree.c
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
