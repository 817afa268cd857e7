DIR := modules/malvdev
NAME := malvdev
SRCS := main.c calls.c status.c
NEEDS := modules/linux
include tools/build/kmod.mk
