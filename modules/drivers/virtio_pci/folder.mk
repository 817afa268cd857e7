DIR := modules/drivers/virtio_pci
NAME := virtio_pci
SRCS := main.c config.c layout.c regions.c interrupts.c registers.c
NEEDS := lib/vring modules/drivers/virtio
include tools/build/kmod.mk
