DIR := modules/mlaas/gpu_record
NAME := gpu_record
SRCS := gpu_record.c
NEEDS := modules/linux
INSTALL := none
include tools/build/kmod.mk
