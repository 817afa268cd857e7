/*
 * space.h: configuration spaces of virtio functions, for tests.
 */
#pragma once

#include <string.h>

#include "modules/drivers/virtio_pci/layout.h"

/* Where space_make() puts the capabilities; each names the next. */
enum space_at {
    SPACE_MSIX = 0x98,
    SPACE_COMMON = 0x84,
    SPACE_ISR = 0x70,
    SPACE_DEVICE = 0x60,
    SPACE_NOTIFY = 0x4c,
};

static inline void space_half(uint8_t *space, unsigned at, uint16_t value)
{
    memcpy(space + at, &value, sizeof(value));
}

static inline void space_word(uint8_t *space, unsigned at, uint32_t value)
{
    memcpy(space + at, &value, sizeof(value));
}

static inline void space_part(uint8_t *space, unsigned at, unsigned next, uint8_t type,
                              uint32_t offset, uint32_t length)
{
    uint8_t head[] = {0x09, (uint8_t)next, type == 2 ? 20 : 16, type, 4};

    memcpy(space + at, head, sizeof(head));
    space_word(space, at + 8, offset);
    space_word(space, at + 12, length);
}

/* A modern device of kind 9 as QEMU makes it: parts in BAR 4 (64 bits wide), messages in BAR 1. */
static inline void space_make(uint8_t space[PCI_CONFIG_SIZE])
{
    memset(space, 0, PCI_CONFIG_SIZE);
    space_half(space, PCI_VENDOR, PCI_VIRTIO_VENDOR);
    space_half(space, PCI_DEVICE, 0x1049);
    space_half(space, PCI_STATUS, 0x10);
    space_word(space, PCI_BAR + 4, 0xfebd0000);
    space_word(space, PCI_BAR + 16, 0x0000400c);
    space_word(space, PCI_BAR + 20, 0x00000070);
    space[PCI_CAPABILITIES] = SPACE_MSIX;
    space[PCI_INTERRUPT_LINE] = 10;
    space_word(space, SPACE_MSIX, 0x80030011 | SPACE_COMMON << 8);
    space_word(space, SPACE_MSIX + 4, 0x00000801);
    space_part(space, SPACE_COMMON, SPACE_ISR, 1, 0, 0x1000);
    space_part(space, SPACE_ISR, SPACE_DEVICE, 3, 0x1000, 0x1000);
    space_part(space, SPACE_DEVICE, SPACE_NOTIFY, 4, 0x2000, 0x1000);
    space_part(space, SPACE_NOTIFY, 0, 2, 0x3000, 0x1000);
    space_word(space, SPACE_NOTIFY + 16, 4);
}
