DIR := modules/drivers/virtio_rng
NAME := virtio_rng
SRCS := main.c
NEEDS := lib/vring modules/drivers/virtio
include tools/build/kmod.mk
