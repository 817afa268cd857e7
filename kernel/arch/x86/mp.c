/*
 * mp.c: finds the processors and the I/O interrupt controller in the firmware's tables: ACPI's MADT
 * when there is a root pointer (ACPI 6.5, 5.2.12), else the MultiProcessor table (Intel MPS 1.4).
 * Tables are the machine's, not a guest's: they are checked for sanity, not for malice.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include <microlake/memory.h>

struct cpu_list {
    uint32_t *apic_ids;
    unsigned count;
    paddr_t io_apic;
};

static void cpu_add(struct cpu_list *list, uint32_t apic_id)
{
    if (list->count < MAX_CPUS)
        list->apic_ids[list->count++] = apic_id;
}

static bool checksum_ok(const uint8_t *p, size_t size)
{
    uint8_t sum = 0;

    while (size--)
        sum += *p++;
    return sum == 0;
}

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum, oem[18];
    uint32_t creator[2];
} __attribute__((packed));

static void madt_read(const struct acpi_header *madt, struct cpu_list *list)
{
    const uint8_t *p = (const uint8_t *)madt + sizeof(*madt) + 8;
    const uint8_t *end = (const uint8_t *)madt + madt->length;

    for (; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
        if (p[0] == 0 && p[1] >= 8 && (p[4] & 1)) /* local APIC, enabled */
            cpu_add(list, p[3]);
        else if (p[0] == 9 && p[1] >= 16 && (p[8] & 1)) /* local x2APIC */
            cpu_add(list, *(const uint32_t *)(p + 4));
        else if (p[0] == 1 && p[1] >= 12 && !list->io_apic)
            list->io_apic = *(const uint32_t *)(p + 4);
    }
}

static const void *low_memory(paddr_t pa)
{
    return pa && pa < (1ul << 30) ? phys_to_virt(pa) : NULL; /* what the boot tables map */
}

static void acpi_read(paddr_t rsdp, struct cpu_list *list)
{
    const uint8_t *root = low_memory(rsdp);
    const struct acpi_header *rsdt = low_memory(*(const uint32_t *)(root + 16));
    const uint32_t *entry = (const uint32_t *)(rsdt + 1);

    if (!rsdt || memcmp(rsdt->signature, "RSDT", 4) || !checksum_ok((const uint8_t *)rsdt, rsdt->length))
        return;
    for (; (const uint8_t *)(entry + 1) <= (const uint8_t *)rsdt + rsdt->length; entry++) {
        const struct acpi_header *table = low_memory(*entry);

        if (table && !memcmp(table->signature, "APIC", 4))
            madt_read(table, list);
    }
}

/* Goes by the table's length: qboot leaves the number of its entries 0. */
static void mp_table_read(const uint8_t *table, struct cpu_list *list)
{
    const uint8_t *end = table + *(const uint16_t *)(table + 4);
    const uint8_t *p = table + 44;

    while (p + 8 <= end) {
        if (p[0] == 0 && (p[3] & 1)) /* processor, enabled */
            cpu_add(list, p[1]);
        else if (p[0] == 2 && (p[3] & 1) && !list->io_apic)
            list->io_apic = *(const uint32_t *)(p + 4);
        p += p[0] == 0 ? 20 : 8;
    }
}

/* Looks for a signature at 16-byte steps. */
static paddr_t area_find(paddr_t start, paddr_t end, const char *signature, size_t length, size_t size)
{
    for (paddr_t pa = start; pa < end; pa += 16) {
        const uint8_t *p = phys_to_virt(pa);

        if (*p == *(const uint8_t *)signature && !memcmp(p, signature, length) && checksum_ok(p, size))
            return pa;
    }
    return 0;
}

unsigned mp_find_cpus(uint32_t apic_ids[MAX_CPUS], paddr_t *io_apic)
{
    struct cpu_list list = {.apic_ids = apic_ids};
    paddr_t mp, rsdp = boot_info.rsdp;

    mp = area_find(0xf0000, 0x100000, "_MP_", 4, 16);
    if (!mp)
        mp = area_find(0x9fc00, 0xa0000, "_MP_", 4, 16);
    if (mp && low_memory(*(const uint32_t *)((const uint8_t *)phys_to_virt(mp) + 4)))
        mp_table_read(low_memory(*(const uint32_t *)((const uint8_t *)phys_to_virt(mp) + 4)), &list);
    if (!list.count) {
        if (!rsdp)
            rsdp = area_find(0xe0000, 0x100000, "RSD PTR ", 8, 20);
        if (low_memory(rsdp))
            acpi_read(rsdp, &list);
    }
    if (!list.count)
        cpu_add(&list, apic_id_read());
    *io_apic = list.io_apic ? list.io_apic : 0xfec00000;
    return list.count;
}
