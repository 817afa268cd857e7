# The lane of sched_burst without its model: what is left is the lane's. bench/sched.py loads it beside sched_burst.
DIR := tests/sched_ablation
NAME := sched_ablation
SRCS := main.c
HOT := main.c
NEEDS := modules/mlaas/sched_fair
INSTALL := none
include tools/build/kmod.mk
