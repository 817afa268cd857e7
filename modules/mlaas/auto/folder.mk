DIR := modules/mlaas/auto
NAME := auto
SRCS := main.c flight.c contexts.c shadow.c words.c load.c bandit.c
NEEDS := modules/mlaas/core modules/linux
include tools/build/kmod.mk
