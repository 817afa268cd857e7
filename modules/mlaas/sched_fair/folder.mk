DIR := modules/mlaas/sched_fair
NAME := sched_fair
SRCS := sched_fair.c fair.c tree.c urgent.c
HOT := fair.c tree.c urgent.c
NEEDS :=
include tools/build/kmod.mk
