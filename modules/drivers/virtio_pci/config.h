/*
 * config.h: the configuration space of PCI functions, through the ports 0xcf8 and 0xcfc that every
 * PC has. The two ports are one register pair for all functions: used from the module's start and
 * end only, which do not overlap.
 */
#pragma once

#include <microlake/types.h>

/* Bus in bits 8 to 15, device in 3 to 7, function in 0 to 2. */
typedef uint16_t pci_address;

static inline pci_address pci_address_make(unsigned bus, unsigned device, unsigned function)
{
    return (pci_address)(bus << 8 | device << 3 | function);
}

/* Reads ones where nothing is. `at` is a multiple of 4 below 256. */
uint32_t pci_config_read(pci_address function, unsigned at);
void pci_config_write(pci_address function, unsigned at, uint32_t value);

/* All of it. */
void pci_config_copy(pci_address function, uint8_t out[256]);

/* Changes bits of the command register. */
enum pci_command {
    PCI_COMMAND_MEMORY = 1 << 1,   /* answers at its addresses */
    PCI_COMMAND_MASTER = 1 << 2,   /* may reach memory, and send messages */
    PCI_COMMAND_NO_LINE = 1 << 10, /* does not use its interrupt pin */
};
void pci_command_change(pci_address function, uint16_t set, uint16_t clear);
