DIR := tests/fuzz/pci_layout
NAME := fuzz_pci_layout
SRCS := fuzz_pci_layout.c
COVERS := modules/drivers/virtio_pci/layout.c
include tools/build/unit-test.mk
