DIR := modules/mlaas/sched_burst
NAME := sched_burst
SRCS := sched_burst.c lane.c history.c model.c
HOT := lane.c history.c model.c
NEEDS := modules/mlaas/sched_fair modules/mlaas/features modules/mlaas/models \
  modules/mlaas/mlrt
$(BUILD)/obj/k/modules/mlaas/sched_burst/model.c.o: modules/mlaas/sched_burst/sched_burst.mlm
include tools/build/kmod.mk
