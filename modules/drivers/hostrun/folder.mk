DIR := modules/drivers/hostrun
NAME := hostrun
SRCS := main.c line.c request.c
NEEDS := modules/linux lib/hostrun lib/uart
include tools/build/kmod.mk
