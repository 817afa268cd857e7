DIR := modules/mlaas/models
NAME := models
SRCS := main.c fit.c file.c slot.c run.c replace.c list.c device.c
NEEDS := modules/linux modules/mlaas/mlrt
HOT := run.c
include tools/build/kmod.mk
