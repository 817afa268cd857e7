DIR := modules/drivers/virtio_9p
NAME := virtio_9p
SRCS := main.c
NEEDS := lib/vring modules/drivers/virtio
include tools/build/kmod.mk
