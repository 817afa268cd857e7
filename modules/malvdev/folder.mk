DIR := modules/malvdev
NAME := malvdev
SRCS := main.c calls.c watch.c status.c
NEEDS := modules/linux
include tools/build/kmod.mk
