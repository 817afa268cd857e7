DIR := modules/drivers/virtio_gpgpu
NAME := virtio_gpgpu
SRCS := main.c control.c objects.c submit.c event.c
NEEDS := lib/vring modules/drivers/virtio modules/drivers/hostctl
include tools/build/kmod.mk
