/*
 * config.c: see config.h.
 */
#include "config.h"

#include <microlake/irq.h>
#include <microlake/memory.h>

#include "layout.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ENABLE       (1u << 31)

static void address_set(pci_address function, unsigned at)
{
    port_out32(PORT_ADDRESS, ENABLE | (uint32_t)function << 8 | (at & 0xfc));
}

uint32_t pci_config_read(pci_address function, unsigned at)
{
    address_set(function, at);
    return port_in32(PORT_DATA);
}

void pci_config_write(pci_address function, unsigned at, uint32_t value)
{
    address_set(function, at);
    port_out32(PORT_DATA, value);
}

void pci_config_copy(pci_address function, uint8_t out[PCI_CONFIG_SIZE])
{
    for (unsigned at = 0; at < PCI_CONFIG_SIZE; at += 4) {
        uint32_t word = pci_config_read(function, at);

        memcpy(out + at, &word, sizeof(word));
    }
}

/* The status register beside it is cleared by ones: zeros leave it alone. */
void pci_command_change(pci_address function, uint16_t set, uint16_t clear)
{
    uint16_t command = (uint16_t)pci_config_read(function, PCI_COMMAND);

    pci_config_write(function, PCI_COMMAND, (command & ~(uint32_t)clear) | set);
}
