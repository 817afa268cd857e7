/*
 * layout.h: what the configuration space of a PCI function says about the virtio device behind it
 * (virtio 1.2, section 4.1): where its parts lie. Pure code over a copy of the space, of which
 * nothing is believed; any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE   256u
#define PCI_BARS          6u
#define PCI_VIRTIO_VENDOR 0x1af4u

enum pci_config {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR = 0x10,
    PCI_SECONDARY_BUS = 0x19, /* of a bridge */
    PCI_SUBSYSTEM = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
};

enum pci_part {
    PCI_COMMON, /* registers of the device as such */
    PCI_NOTIFY, /* where queues are notified */
    PCI_ISR,    /* causes of interrupts that are no messages */
    PCI_DEVICE_CONFIG,
    PCI_MSIX_TABLE,
    PCI_PARTS,
};

/* A part of the device: bytes [offset, offset + length) of a BAR. length 0: there is none. */
struct pci_place {
    uint32_t offset, length;
    uint8_t bar;
};

struct pci_layout {
    uint32_t virtio_id; /* kind of device; not 0 */
    struct pci_place parts[PCI_PARTS];
    uint32_t notify_multiplier; /* even, or 0 */
    uint32_t messages;          /* interrupts that can be messages; 0: none */
    uint8_t msix;               /* where that capability stands */
    uint8_t line;               /* what the firmware says of the interrupt pin's line */
};

/* A memory BAR as the firmware set it. */
struct pci_bar {
    uint64_t address;
    bool wide; /* takes two registers */
};

/* True for a function that is a virtio device of some kind. */
bool pci_is_virtio(uint16_t vendor, uint16_t device);

/* NULL: *out is filled. Else what is wrong, for a message to a person. */
const char *pci_layout_read(const uint8_t config[PCI_CONFIG_SIZE], struct pci_layout *out);

/* The same for a BAR of the layout. */
const char *pci_bar_read(const uint8_t config[PCI_CONFIG_SIZE], unsigned bar, struct pci_bar *out);
