/*
 * regions.c: the parts of a device in the kernel's address space. Where its BARs lie is the
 * firmware's work; how large they are is asked here, so that no part reaches beyond its own.
 */
#include <microlake/memory.h>

#include "device.h"

#define BAR_FLAGS 15u

/* A BAR's size: what of it can't be set. The function must not answer meanwhile. */
static uint64_t bar_size(pci_address function, unsigned bar, const struct pci_bar *b)
{
    unsigned at = PCI_BAR + 4 * bar;
    uint32_t low = pci_config_read(function, at), high = 0;
    uint64_t fixed = UINT32_MAX;

    pci_config_write(function, at, UINT32_MAX);
    fixed = pci_config_read(function, at) & ~BAR_FLAGS;
    pci_config_write(function, at, low);
    if (b->wide) {
        high = pci_config_read(function, at + 4);
        pci_config_write(function, at + 4, UINT32_MAX);
        fixed |= (uint64_t)pci_config_read(function, at + 4) << 32;
        pci_config_write(function, at + 4, high);
    } else {
        fixed |= ~(uint64_t)UINT32_MAX;
    }
    return ~fixed + 1;
}

/* RAM at either end would mean that the BAR covers some of it. */
static bool bar_fits(const struct pci_bar *b, uint64_t size)
{
    return size && !(size & (size - 1)) && b->address % size == 0 &&
           b->address + size - 1 >= b->address && !frame_is_ram(b->address) &&
           !frame_is_ram(b->address + size - 1);
}

static const char *region_map(struct pci_device *p, enum pci_part part,
                              const uint8_t config[PCI_CONFIG_SIZE])
{
    const struct pci_place *place = &p->layout.parts[part];
    struct pci_region *r = &p->regions[part];
    const char *wrong;
    struct pci_bar b;
    uint64_t size, first;

    wrong = pci_bar_read(config, place->bar, &b);
    if (wrong)
        return wrong;
    size = bar_size(p->function, place->bar, &b);
    if (!bar_fits(&b, size))
        return "the firmware gave it addresses that can't be";
    if ((uint64_t)place->offset + place->length > size)
        return "a part of it lies outside its BAR";
    first = ALIGN_DOWN(b.address + place->offset, PAGE_SIZE);
    r->mapping_size = ALIGN_UP(b.address + place->offset + place->length, PAGE_SIZE) - first;
    r->mapping = kmap_range(first, r->mapping_size, KMAP_WRITE | KMAP_DEVICE);
    if (!r->mapping)
        return "there is no memory to map it";
    r->at = (volatile uint8_t *)r->mapping + (b.address + place->offset - first);
    return NULL;
}

void pci_regions_unmap(struct pci_device *p)
{
    for (unsigned i = 0; i < PCI_PARTS; i++) {
        if (p->regions[i].mapping)
            kunmap(p->regions[i].mapping, p->regions[i].mapping_size);
        p->regions[i] = (struct pci_region){0};
    }
}

const char *pci_regions_map(struct pci_device *p, const uint8_t config[PCI_CONFIG_SIZE])
{
    const char *wrong = NULL;

    pci_command_change(p->function, 0, PCI_COMMAND_MEMORY);
    for (unsigned i = 0; i < PCI_PARTS && !wrong; i++)
        if (p->layout.parts[i].length)
            wrong = region_map(p, (enum pci_part)i, config);
    pci_command_change(p->function, PCI_COMMAND_MEMORY, 0);
    if (wrong)
        pci_regions_unmap(p);
    return wrong;
}
