DIR := modules/mlaas/batch
NAME := mlbatch
SRCS := main.c net.c worker.c device.c measure.c crossing.c
NEEDS := modules/linux modules/mlaas/mlrt modules/mlaas/models lib/gpucmd
include tools/build/kmod.mk
