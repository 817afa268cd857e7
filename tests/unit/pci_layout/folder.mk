DIR := tests/unit/pci_layout
NAME := pci_layout
SRCS := layout_test.c
COVERS := modules/drivers/virtio_pci/layout.c
include tools/build/unit-test.mk
