DIR := modules/drivers/virtio_console
NAME := virtio_console
SRCS := main.c control.c port.c
NEEDS := lib/vring modules/drivers/virtio modules/drivers/hostctl
include tools/build/kmod.mk
