/*
 * firmware.h: the low memory of a machine, with the tables in which its firmware names the
 * processors.
 */
#pragma once

#include "stand_ins.h"

#define FIRMWARE_LOW_END (1ul << 30) /* of what the nucleus has mapped */
#define FIRMWARE_BIOS    0xf0000ul   /* searched for both pointers */
#define FIRMWARE_EBDA    0x9fc00ul
#define FIRMWARE_OWN_ID  77 /* what the running CPU's APIC says */

#define FIRMWARE_BLOB_MAX (4u << 10)

/* A table under construction. */
struct blob {
    uint8_t bytes[FIRMWARE_BLOB_MAX];
    size_t size;
};

void firmware_map(void); /* zero; what is beyond its end may not be touched */
void firmware_unmap(void);

void blob_add(struct blob *b, const void *bytes, size_t size);
void blob_sum(uint8_t *bytes, size_t size, size_t at); /* makes byte `at` so that the sum is 0 */

/* Heads and entries; _end writes length and checksum. */
void mp_begin(struct blob *b);
void mp_processor(struct blob *b, uint8_t id, bool enabled);
void mp_io_apic(struct blob *b, uint32_t address, bool enabled);
void mp_other(struct blob *b, uint8_t kind);
void mp_end(struct blob *b);
void acpi_begin(struct blob *b, const char *signature);
void madt_begin(struct blob *b);
void madt_local(struct blob *b, uint8_t id, bool enabled);
void madt_local_x2(struct blob *b, uint32_t id, bool enabled);
void madt_io_apic(struct blob *b, uint32_t address);
void acpi_word(struct blob *b, uint32_t word);
void acpi_end(struct blob *b);

void blob_place(paddr_t pa, const struct blob *b);
void mp_pointer_make(struct blob *b, uint32_t table);
void rsdp_make(struct blob *b, uint32_t rsdt);
void rsdp_2_make(struct blob *b, uint32_t rsdt, uint64_t xsdt); /* revision 2 */

/* [pa, pa + size) may not be read from now on. */
void firmware_forbid(paddr_t pa, size_t size);
void firmware_allow(paddr_t pa, size_t size);
