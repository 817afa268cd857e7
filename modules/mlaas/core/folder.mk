DIR := modules/mlaas/core
NAME := mlaas
SRCS := main.c text.c classes.c figures.c
NEEDS := modules/linux
include tools/build/kmod.mk
