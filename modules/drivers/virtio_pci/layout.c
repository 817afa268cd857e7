/*
 * layout.c: see layout.h.
 */
#include <string.h>

#include "layout.h"

#define STATUS_HAS_CAPABILITIES (1u << 4)
#define CAPABILITIES_FIRST      0x40u /* below stand the registers every function has */
#define CAPABILITIES_MOST       ((PCI_CONFIG_SIZE - CAPABILITIES_FIRST) / 4)

enum capability_id { CAPABILITY_VENDOR = 0x09, CAPABILITY_MSIX = 0x11 };

/* Fields of virtio's capabilities, and their sizes. */
enum virtio_capability {
    VIRTIO_CAP_LENGTH = 2,
    VIRTIO_CAP_TYPE = 3,
    VIRTIO_CAP_BAR = 4,
    VIRTIO_CAP_OFFSET = 8,
    VIRTIO_CAP_PART_LENGTH = 12,
    VIRTIO_CAP_SIZE = 16,
    VIRTIO_CAP_MULTIPLIER = 16,
    VIRTIO_CAP_NOTIFY_SIZE = 20,
};

enum msix_capability { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_SIZE = 12 };

#define MSIX_COUNT_MASK 0x7ffu
#define MSIX_ENTRY_SIZE 16u

/* Device numbers of virtio: below, the subsystem tells the kind; above, the number itself. */
#define DEVICE_FIRST  0x1000u
#define DEVICE_MODERN 0x1040u
#define DEVICE_LAST   0x107fu

#define BAR_IS_PORTS  1u
#define BAR_TYPE_MASK 6u
#define BAR_TYPE_WIDE 4u
#define BAR_FLAGS     15u

static uint16_t half_at(const uint8_t *config, unsigned at)
{
    uint16_t half;

    memcpy(&half, config + at, sizeof(half));
    return half;
}

static uint32_t word_at(const uint8_t *config, unsigned at)
{
    uint32_t word;

    memcpy(&word, config + at, sizeof(word));
    return word;
}

bool pci_is_virtio(uint16_t vendor, uint16_t device)
{
    return vendor == PCI_VIRTIO_VENDOR && device >= DEVICE_FIRST && device <= DEVICE_LAST;
}

/* virtio's cfg_type 1 to 4 are the first four parts, in order. */
static bool part_of_type(uint8_t type, enum pci_part *out)
{
    *out = (enum pci_part)(type - 1);
    return type >= 1 && type <= 4;
}

/* The first capability of a kind that can be used counts; a BAR that there is not means a newer
 * device's capability, to be left alone. */
static const char *virtio_capability_read(const uint8_t *config, unsigned at,
                                          struct pci_layout *out)
{
    unsigned length = config[at + VIRTIO_CAP_LENGTH];
    struct pci_place place;
    enum pci_part part;

    if (length < VIRTIO_CAP_SIZE || at + length > PCI_CONFIG_SIZE)
        return "a virtio capability is cut short";
    if (!part_of_type(config[at + VIRTIO_CAP_TYPE], &part) || out->parts[part].length)
        return NULL;
    place.bar = config[at + VIRTIO_CAP_BAR];
    place.offset = word_at(config, at + VIRTIO_CAP_OFFSET);
    place.length = word_at(config, at + VIRTIO_CAP_PART_LENGTH);
    if (place.bar >= PCI_BARS)
        return NULL;
    if (part == PCI_NOTIFY) {
        if (length < VIRTIO_CAP_NOTIFY_SIZE)
            return "the capability for notifications is cut short";
        out->notify_multiplier = word_at(config, at + VIRTIO_CAP_MULTIPLIER);
    }
    out->parts[part] = place;
    return NULL;
}

static const char *msix_capability_read(const uint8_t *config, unsigned at, struct pci_layout *out)
{
    uint32_t table;

    if (at + MSIX_SIZE > PCI_CONFIG_SIZE)
        return "the MSI-X capability is cut short";
    table = word_at(config, at + MSIX_TABLE);
    if (table % 8 >= PCI_BARS)
        return "the MSI-X table lies in no BAR";
    out->msix = (uint8_t)at;
    out->messages = (half_at(config, at + MSIX_CONTROL) & MSIX_COUNT_MASK) + 1;
    out->parts[PCI_MSIX_TABLE] = (struct pci_place){
        .bar = table % 8,
        .offset = table - table % 8,
        .length = out->messages * MSIX_ENTRY_SIZE,
    };
    return NULL;
}

static const char *capabilities_read(const uint8_t *config, struct pci_layout *out)
{
    unsigned at = config[PCI_CAPABILITIES] & ~3u;
    const char *wrong = NULL;

    if (!(half_at(config, PCI_STATUS) & STATUS_HAS_CAPABILITIES))
        return "it has no capabilities; it may be a legacy device";
    for (unsigned i = 0; at && !wrong; i++) {
        if (at < CAPABILITIES_FIRST || i == CAPABILITIES_MOST)
            return "its list of capabilities is damaged";
        if (config[at] == CAPABILITY_VENDOR)
            wrong = virtio_capability_read(config, at, out);
        else if (config[at] == CAPABILITY_MSIX && !out->msix)
            wrong = msix_capability_read(config, at, out);
        at = config[at + 1] & ~3u;
    }
    return wrong;
}

/* Registers have their natural alignment, and a part ends within 4 GiB. */
static const char *parts_check(const struct pci_layout *l)
{
    static const struct {
        uint32_t least, aligned;
        const char *missing;
    } rules[PCI_PARTS] = {
        [PCI_COMMON] = {56, 4, "it has no common configuration; it may be a legacy device"},
        [PCI_NOTIFY] = {2, 2, "it says not where to notify it"},
        [PCI_ISR] = {1, 1, "it says not why it interrupts"},
        [PCI_DEVICE_CONFIG] = {0, 4, NULL},
        [PCI_MSIX_TABLE] = {0, 8, NULL},
    };

    for (unsigned i = 0; i < PCI_PARTS; i++) {
        const struct pci_place *p = &l->parts[i];

        if (p->length < rules[i].least)
            return rules[i].missing;
        if (p->offset % rules[i].aligned || p->offset > UINT32_MAX - p->length)
            return "a part of it lies at an impossible place";
    }
    return l->notify_multiplier % 2 ? "its notifications lie at odd places" : NULL;
}

const char *pci_layout_read(const uint8_t config[PCI_CONFIG_SIZE], struct pci_layout *out)
{
    struct pci_layout l = {.line = config[PCI_INTERRUPT_LINE]};
    uint16_t device = half_at(config, PCI_DEVICE);
    const char *wrong;

    l.virtio_id = device >= DEVICE_MODERN ? device - DEVICE_MODERN : half_at(config, PCI_SUBSYSTEM);
    if (l.virtio_id == 0)
        return "it is of no kind";
    wrong = capabilities_read(config, &l);
    if (!wrong)
        wrong = parts_check(&l);
    if (!wrong)
        *out = l;
    return wrong;
}

const char *pci_bar_read(const uint8_t config[PCI_CONFIG_SIZE], unsigned bar, struct pci_bar *out)
{
    uint32_t low = word_at(config, PCI_BAR + 4 * bar);

    if (low & BAR_IS_PORTS)
        return "a part of it lies in I/O ports";
    out->wide = (low & BAR_TYPE_MASK) == BAR_TYPE_WIDE;
    if (out->wide && bar == PCI_BARS - 1)
        return "its last BAR wants to be two";
    out->address = low & ~BAR_FLAGS;
    if (out->wide)
        out->address |= (uint64_t)word_at(config, PCI_BAR + 4 * bar + 4) << 32;
    return out->address ? NULL : "the firmware gave it no addresses";
}
