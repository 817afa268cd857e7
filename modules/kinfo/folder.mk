# What the kernel knows of itself, as files below /sys/kernel/malv.
DIR := modules/kinfo
NAME := kinfo
SRCS := main.c files.c traces.c
NEEDS := modules/linux
include tools/build/kmod.mk
