DIR := modules/drivers/hostctl
NAME := hostctl
SRCS := main.c transmit.c receive.c parse.c fast.c
NEEDS := lib/uart
include tools/build/kmod.mk
