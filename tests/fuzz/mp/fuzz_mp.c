/*
 * fuzz_mp.c: damaged firmware tables for the search for processors: fuzz_mp [SEED [ITERATIONS]].
 * What lies behind a table's own length must not be read, as long as the pointers to the tables are
 * whole.
 */
#include "tests/unit/nucleus/firmware.h"

#include "tests/fuzz/fuzz.h"

#define RSDP_AT 0xf1230ul
#define MP_AT   0xf0010ul
#define SLOT    (2ul << 20) /* more than a table's length may be */

enum table { RSDT, XSDT, MADT, MP, TABLES };

static const size_t heads[TABLES] = {36, 36, 36, 44}; /* read before the length is believed */
static struct fuzz_plan plan;
static struct blob samples[TABLES];

/* Not aligned, each far from the next; the last ends where memory does. */
static paddr_t table_at(enum table t)
{
    return FIRMWARE_LOW_END - (TABLES - t) * SLOT + 1;
}

static void samples_make(void)
{
    uint64_t entries[] = {table_at(MP), table_at(MADT)};

    acpi_begin(&samples[RSDT], "RSDT");
    acpi_word(&samples[RSDT], (uint32_t)table_at(XSDT));
    acpi_word(&samples[RSDT], (uint32_t)table_at(MADT));
    acpi_end(&samples[RSDT]);
    acpi_begin(&samples[XSDT], "XSDT");
    blob_add(&samples[XSDT], entries, sizeof(entries));
    acpi_end(&samples[XSDT]);
    madt_begin(&samples[MADT]);
    mp_begin(&samples[MP]);
    for (uint8_t id = 0; id < 5; id++) {
        madt_local(&samples[MADT], id, id != 2);
        madt_local_x2(&samples[MADT], 1000u + id, true);
        mp_processor(&samples[MP], id, id != 3);
    }
    madt_io_apic(&samples[MADT], 0xfec10000);
    mp_io_apic(&samples[MP], 0xfec20000, true);
    acpi_end(&samples[MADT]);
    mp_end(&samples[MP]);
}

static void blob_damage(struct blob *b)
{
    for (uint64_t n = fuzz_below(4); n > 0; n--)
        fuzz_mutate_once(b->bytes, b->size);
}

static size_t length_claimed(enum table t, const struct blob *b)
{
    uint32_t length = 0;

    memcpy(&length, b->bytes + 4, t == MP ? 2 : 4);
    return MAX(length, heads[t]);
}

static void table_place(enum table t, bool guarded)
{
    struct blob b = samples[t];
    size_t length;

    blob_damage(&b);
    if (guarded && (t == RSDT || t == XSDT)) /* its entries are pointers, too */
        memcpy(b.bytes + heads[t], samples[t].bytes + heads[t], b.size - heads[t]);
    length = length_claimed(t, &b);
    if (t != MP && length <= b.size && fuzz_below(8))
        blob_sum(b.bytes, length, 9); /* else few get further than this check */
    blob_place(table_at(t), &b);
    if (guarded && length < SLOT / 2)
        firmware_forbid(table_at(t) + length, SLOT / 2 - length);
}

/* Returns false when a pointer may lead anywhere. */
static bool pointers_place(void)
{
    struct blob rsdp, mp;
    bool whole = fuzz_below(4) > 0;

    rsdp_2_make(&rsdp, (uint32_t)table_at(RSDT), fuzz_below(2) ? table_at(XSDT) : 0);
    mp_pointer_make(&mp, (uint32_t)table_at(MP));
    if (!whole) {
        blob_damage(&rsdp);
        blob_damage(&mp);
        if (fuzz_below(8)) {
            blob_sum(rsdp.bytes, 20, 8);
            blob_sum(mp.bytes, 16, 10);
        }
    }
    if (fuzz_below(2))
        mp.bytes[0] = 'x'; /* there is none */
    blob_place(RSDP_AT, &rsdp);
    blob_place(MP_AT, &mp);
    boot_info.rsdp = fuzz_below(2) ? RSDP_AT : 0;
    return whole;
}

static void result_check(const uint32_t *ids, unsigned count, paddr_t io_apic)
{
    assert_in_range(count, 1, MAX_CPUS);
    assert_int_not_equal(io_apic, 0);
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(ids[i], ids[j]);
}

static void test_damaged_tables(void **state)
{
    static unsigned found[MAX_CPUS + 1];

    (void)state;
    samples_make();
    firmware_map();
    for (uint64_t i = 0; i < plan.iterations; i++) {
        uint32_t *ids = malloc(MAX_CPUS * sizeof(*ids));
        paddr_t io_apic;
        unsigned count;
        bool guarded;

        fuzz_seed(plan.seed, i);
        guarded = pointers_place();
        for (enum table t = 0; t < TABLES; t++)
            table_place(t, guarded);
        count = mp_find_cpus(ids, &io_apic);
        result_check(ids, count, io_apic);
        found[count]++;
        free(ids);
        for (enum table t = 0; t < TABLES; t++)
            firmware_allow(table_at(t), SLOT / 2);
    }
    firmware_allow(0, FIRMWARE_LOW_END);
    firmware_unmap();
    if (plan.iterations >= 1000)
        assert_true(found[4] > 0 && found[9] > 0); /* the damage leaves some of each kind whole */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_tables)};

    plan = fuzz_plan_read(argc, argv, 50000);
    return cmocka_run_group_tests_name("fuzz_mp", tests, NULL, NULL);
}
