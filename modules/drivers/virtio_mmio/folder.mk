DIR := modules/drivers/virtio_mmio
NAME := virtio_mmio
SRCS := main.c option.c registers.c
NEEDS := lib/vring modules/drivers/virtio
include tools/build/kmod.mk
