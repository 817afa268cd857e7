DIR := modules/mlaas/mlrt
NAME := mlrt
SRCS := main.c
NEEDS := lib/mlrt
include tools/build/kmod.mk
