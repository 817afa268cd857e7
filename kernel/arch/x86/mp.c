/*
 * mp.c: finds the processors and the I/O interrupt controller in the firmware's tables: ACPI's MADT
 * (ACPI 6.5, 5.2.12) when the loader gave a root pointer, else the MultiProcessor table (Intel MPS 1.4),
 * else what a search for a root pointer finds. ACPI goes first because firmware may list only the first
 * processor of each package in the other table.
 *
 * What lies outside a table, or outside the direct map, is not read; of a damaged table that much is
 * used that makes sense.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include <microlake/memory.h>

struct cpu_list {
    uint32_t *apic_ids;
    unsigned count;
    paddr_t io_apic;
};

#define ACPI_TABLE_MAX (1u << 20)  /* a greater length is damage */
#define RSDP_SIZE      20
#define RSDP_SIZE_2    36 /* from revision 2 on */
#define MADT_ENTRIES   44
#define MP_ENTRIES     44
#define ENTRY_LEAST    8 /* of the MP table; a processor's has 20 */

/* Each only once: a processor may be listed as local APIC and as local x2APIC. */
static void cpu_add(struct cpu_list *list, uint32_t apic_id)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->apic_ids[i] == apic_id)
            return;
    if (list->count < MAX_CPUS)
        list->apic_ids[list->count++] = apic_id;
}

/* Nothing says that a table's words are aligned. */
static uint32_t word_read(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

/* The same for an address of `width` bytes. */
static paddr_t address_read(const uint8_t *p, unsigned width)
{
    paddr_t address = 0;

    memcpy(&address, p, width);
    return address;
}

/* What the direct map has of [pa, pa + size): all of it, or NULL. Tables lie at the edges of RAM. */
static const uint8_t *mapped(paddr_t pa, size_t size)
{
    for (unsigned i = 0; i < boot_info.ram_count && pa; i++) {
        paddr_t start = ALIGN_DOWN(boot_info.ram[i].start, PAGING_LARGE);
        paddr_t end = ALIGN_UP(boot_info.ram[i].end, PAGING_LARGE);

        if (pa >= start && pa < end && size <= end - pa)
            return phys_to_virt(pa);
    }
    return NULL;
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

/* The table at pa if it is of that kind, whole and has at least `least` bytes; else NULL. */
static const struct acpi_header *acpi_table(paddr_t pa, const char *signature, size_t least)
{
    const struct acpi_header *t = (const struct acpi_header *)mapped(pa, sizeof(*t));

    if (!t || memcmp(t->signature, signature, 4) || t->length < least || t->length > ACPI_TABLE_MAX ||
        !mapped(pa, t->length) || !checksum_ok((const uint8_t *)t, t->length))
        return NULL;
    return t;
}

static void madt_read(const struct acpi_header *madt, struct cpu_list *list)
{
    const uint8_t *p = (const uint8_t *)madt + MADT_ENTRIES;
    const uint8_t *end = (const uint8_t *)madt + madt->length;

    for (; end - p >= 2 && p[1] >= 2 && p[1] <= end - p; p += p[1]) {
        if (p[0] == 0 && p[1] >= 8 && (p[4] & 1)) /* local APIC, enabled */
            cpu_add(list, p[3]);
        else if (p[0] == 9 && p[1] >= 16 && (p[8] & 1)) /* local x2APIC */
            cpu_add(list, word_read(p + 4));
        else if (p[0] == 1 && p[1] >= 12 && !list->io_apic)
            list->io_apic = word_read(p + 4);
    }
}

/* The root table is a list of addresses: of 8 bytes in an XSDT, which is newer, of 4 in an RSDT. */
static void acpi_read(paddr_t rsdp, struct cpu_list *list)
{
    const uint8_t *pointer = mapped(rsdp, RSDP_SIZE);
    const struct acpi_header *root = NULL, *madt;
    unsigned width = 8;

    if (pointer && pointer[15] >= 2 && mapped(rsdp, RSDP_SIZE_2))
        root = acpi_table(address_read(pointer + 24, 8), "XSDT", sizeof(*root));
    if (pointer && !root) {
        width = 4;
        root = acpi_table(word_read(pointer + 16), "RSDT", sizeof(*root));
    }
    for (uint32_t at = sizeof(*root); root && at + width <= root->length; at += width) {
        madt = acpi_table(address_read((const uint8_t *)root + at, width), "APIC", MADT_ENTRIES);
        if (madt)
            madt_read(madt, list);
    }
}

/* Goes by the table's length: qboot leaves the number of its entries 0. */
static void mp_table_read(paddr_t pa, struct cpu_list *list)
{
    const uint8_t *p = mapped(pa, MP_ENTRIES), *end;
    unsigned length;

    if (!p || memcmp(p, "PCMP", 4))
        return;
    length = p[4] | p[5] << 8;
    if (!mapped(pa, length))
        return;
    end = p + length;
    for (p += MP_ENTRIES; end - p >= ENTRY_LEAST; p += p[0] == 0 ? 20 : 8) {
        if (p[0] == 0 && (p[3] & 1)) /* processor, enabled */
            cpu_add(list, p[1]);
        else if (p[0] == 2 && (p[3] & 1) && !list->io_apic)
            list->io_apic = word_read(p + 4);
    }
}

/* Looks for a signature at 16-byte steps. */
static paddr_t area_find(paddr_t start, paddr_t end, const char *signature, size_t length, size_t size)
{
    for (paddr_t pa = start; pa + size <= end; pa += 16) {
        const uint8_t *p = phys_to_virt(pa);

        if (*p == *(const uint8_t *)signature && !memcmp(p, signature, length) && checksum_ok(p, size))
            return pa;
    }
    return 0;
}

/* The small place first: in the other one it takes thousands of looks. */
static void mp_read(struct cpu_list *list)
{
    paddr_t mp = area_find(0x9fc00, 0xa0000, "_MP_", 4, 16);

    if (!mp)
        mp = area_find(0xf0000, 0x100000, "_MP_", 4, 16);
    if (mp)
        mp_table_read(word_read((const uint8_t *)phys_to_virt(mp) + 4), list);
}

unsigned mp_find_cpus(uint32_t apic_ids[MAX_CPUS], paddr_t *io_apic)
{
    struct cpu_list list = {.apic_ids = apic_ids};

    if (boot_info.rsdp)
        acpi_read(boot_info.rsdp, &list);
    if (!list.count)
        mp_read(&list);
    if (!list.count && !boot_info.rsdp)
        acpi_read(area_find(0xe0000, 0x100000, "RSD PTR ", 8, RSDP_SIZE), &list);
    if (!list.count)
        cpu_add(&list, apic_id_read());
    *io_apic = list.io_apic ? list.io_apic : 0xfec00000;
    return list.count;
}
