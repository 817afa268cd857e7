DIR := tests/unit/mmio_option
NAME := mmio_option
SRCS := option_test.c
COVERS := modules/drivers/virtio_mmio/option.c
include tools/build/unit-test.mk
