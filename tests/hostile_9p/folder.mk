DIR := tests/hostile_9p
NAME := hostile_9p
SRCS := main.c replies.c
NEEDS := modules/drivers/virtio_9p
INSTALL := none
include tools/build/kmod.mk
