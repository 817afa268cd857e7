# The policy manager: the machine's policies as files below /sys/kernel/mlaas.
DIR := modules/mlaas/core
NAME := mlaas
SRCS := main.c classes.c policies.c pilots.c guards.c guard_rule.c choices.c choice_text.c profile.c figures.c policy_memory.c
NEEDS := modules/linux
include tools/build/kmod.mk
