DIR := modules/fs/erofs
NAME := erofs
SRCS := main.c cache.c objects.c
NEEDS := lib/erofs modules/linux modules/drivers/virtio_blk
include tools/build/kmod.mk
