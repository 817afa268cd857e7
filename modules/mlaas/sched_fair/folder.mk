DIR := modules/mlaas/sched_fair
NAME := sched_fair
SRCS := sched_fair.c fair.c tree.c
NEEDS :=
include tools/build/kmod.mk
