DIR := modules/drivers/virtio_blk
NAME := virtio_blk
SRCS := main.c request.c
NEEDS := lib/vring modules/drivers/virtio
include tools/build/kmod.mk
