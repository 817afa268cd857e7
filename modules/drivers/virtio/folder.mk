DIR := modules/drivers/virtio
NAME := virtio
SRCS := main.c device.c queue.c
NEEDS := lib/vring
include tools/build/kmod.mk
