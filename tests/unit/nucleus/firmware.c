/*
 * firmware.c: see firmware.h.
 */
#include "firmware.h"

#include <sanitizer/asan_interface.h>

void firmware_map(void)
{
    memory_map(FIRMWARE_LOW_END);
    /* The direct map has more than RAM: up to the next 2 MiB. Tables lie there. */
    boot_info = (struct boot_info){
        .ram = {{0x10000, 0x9f000}, {0x100000, FIRMWARE_LOW_END - 0x20000}},
        .ram_count = 2,
    };
}

void firmware_unmap(void)
{
    memory_unmap();
}

uint32_t apic_id_read(void)
{
    return FIRMWARE_OWN_ID;
}

void blob_add(struct blob *b, const void *bytes, size_t size)
{
    assert_true(size <= sizeof(b->bytes) - b->size);
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

void blob_sum(uint8_t *bytes, size_t size, size_t at)
{
    uint8_t sum = 0;

    bytes[at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[at] = (uint8_t)-sum;
}

/* ---- MultiProcessor table ---------------------------------------------------------------------
 */

void mp_begin(struct blob *b)
{
    static const uint8_t head[44] = "PCMP";

    b->size = 0;
    blob_add(b, head, sizeof(head));
}

void mp_processor(struct blob *b, uint8_t id, bool enabled)
{
    const uint8_t entry[20] = {0, id, 0x14, enabled};

    blob_add(b, entry, sizeof(entry));
}

void mp_io_apic(struct blob *b, uint32_t address, bool enabled)
{
    uint8_t entry[8] = {2, 0, 0x11, enabled};

    memcpy(entry + 4, &address, sizeof(address));
    blob_add(b, entry, sizeof(entry));
}

void mp_other(struct blob *b, uint8_t kind)
{
    const uint8_t entry[8] = {kind, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    blob_add(b, entry, sizeof(entry));
}

void mp_end(struct blob *b)
{
    b->bytes[4] = (uint8_t)b->size;
    b->bytes[5] = (uint8_t)(b->size >> 8);
    blob_sum(b->bytes, b->size, 7);
}

/* ---- ACPI -------------------------------------------------------------------------------------
 */

void acpi_begin(struct blob *b, const char *signature)
{
    static const uint8_t head[36];

    b->size = 0;
    blob_add(b, head, sizeof(head));
    memcpy(b->bytes, signature, 4);
}

void madt_begin(struct blob *b)
{
    acpi_begin(b, "APIC");
    acpi_word(b, 0xfee00000);
    acpi_word(b, 1);
}

void madt_local(struct blob *b, uint8_t id, bool enabled)
{
    const uint8_t entry[8] = {0, 8, (uint8_t)(id + 1), id, enabled};

    blob_add(b, entry, sizeof(entry));
}

void madt_local_x2(struct blob *b, uint32_t id, bool enabled)
{
    uint8_t entry[16] = {9, 16};

    memcpy(entry + 4, &id, sizeof(id));
    entry[8] = enabled;
    blob_add(b, entry, sizeof(entry));
}

void madt_io_apic(struct blob *b, uint32_t address)
{
    uint8_t entry[12] = {1, 12};

    memcpy(entry + 4, &address, sizeof(address));
    blob_add(b, entry, sizeof(entry));
}

void acpi_word(struct blob *b, uint32_t word)
{
    blob_add(b, &word, sizeof(word));
}

void acpi_end(struct blob *b)
{
    uint32_t length = (uint32_t)b->size;

    memcpy(b->bytes + 4, &length, sizeof(length));
    blob_sum(b->bytes, b->size, 9);
}

/* ---- pointers and places ----------------------------------------------------------------------
 */

void mp_pointer_make(struct blob *b, uint32_t table)
{
    b->size = 0;
    blob_add(b, "_MP_", 4);
    blob_add(b, &table, 4);
    blob_add(b, "\1\4\0\0\0\0\0\0", 8);
    blob_sum(b->bytes, 16, 10);
}

void rsdp_make(struct blob *b, uint32_t rsdt)
{
    b->size = 0;
    blob_add(b, "RSD PTR \0OEMOEM", 16);
    blob_add(b, &rsdt, 4);
    blob_sum(b->bytes, 20, 8);
}

void rsdp_2_make(struct blob *b, uint32_t rsdt, uint64_t xsdt)
{
    rsdp_make(b, rsdt);
    b->bytes[15] = 2;
    acpi_word(b, 36);
    blob_add(b, &xsdt, 8);
    acpi_word(b, 0);
    blob_sum(b->bytes, 20, 8);
    blob_sum(b->bytes, 36, 32);
}

void blob_place(paddr_t pa, const struct blob *b)
{
    assert_true(pa + b->size <= FIRMWARE_LOW_END);
    memcpy(phys_to_virt(pa), b->bytes, b->size);
}

void firmware_forbid(paddr_t pa, size_t size)
{
    __asan_poison_memory_region(phys_to_virt(pa), size);
}

void firmware_allow(paddr_t pa, size_t size)
{
    __asan_unpoison_memory_region(phys_to_virt(pa), size);
}
