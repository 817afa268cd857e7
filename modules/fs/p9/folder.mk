DIR := modules/fs/p9
NAME := p9
SRCS := main.c client.c objects.c change.c xattr.c
NEEDS := lib/p9 modules/linux modules/drivers/virtio_9p
include tools/build/kmod.mk
