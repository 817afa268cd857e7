DIR := modules/gpu_sum
NAME := gpu_sum
SRCS := main.c device_sum.c
NEEDS := lib/gpucmd
include tools/build/kmod.mk
