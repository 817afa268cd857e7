DIR := tests/unit/sched_burst
NAME := sched_burst
SRCS := sched_burst_test.c history_test.c
COVERS := modules/mlaas/sched_burst/lane.c modules/mlaas/sched_burst/history.c \
  modules/mlaas/sched_fair/fair.c modules/mlaas/sched_fair/tree.c \
  modules/mlaas/sched_fair/urgent.c tests/unit/sched_fair/simulator.c
NEEDS := lib/mlrt
LIBS := -lm
EXTRA := -Ikernel/include
$(BUILD)/obj/test-sched_burst/tests/unit/sched_burst/sched_burst_test.c.o: modules/mlaas/sched_burst/sched_burst.mlm
include tools/build/unit-test.mk
