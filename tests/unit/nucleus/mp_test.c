/*
 * mp_test.c: finding the processors in the firmware's tables, whole and damaged. Nothing outside a
 * table may be read: what lies behind each is forbidden.
 */
#include "firmware.h"

#define MP_AT   0x9f800ul
#define RSDT_AT 0x7fe1000ul
#define MADT_AT 0x7fe2001ul /* nobody promises alignment */
#define BEHIND  4096        /* bytes forbidden behind a table */

static struct blob blob;
static uint32_t ids[MAX_CPUS + 1];
static paddr_t io_apic;

static int setup(void **state)
{
    (void)state;
    firmware_map();
    memset(ids, 0xee, sizeof(ids));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ids[MAX_CPUS], 0xeeeeeeee);
    firmware_allow(0, FIRMWARE_LOW_END);
    firmware_unmap();
    return 0;
}

static unsigned find(void)
{
    return mp_find_cpus(ids, &io_apic);
}

/* Nobody was found: the running CPU is there in any case. */
static void check_alone(void)
{
    assert_int_equal(find(), 1);
    assert_int_equal(ids[0], FIRMWARE_OWN_ID);
    assert_int_equal(io_apic, 0xfec00000);
}

static void place(paddr_t pa)
{
    blob_place(pa, &blob);
    firmware_forbid(pa + blob.size, BEHIND);
}

static void place_mp_pointer(paddr_t at, uint32_t table)
{
    struct blob pointer;

    mp_pointer_make(&pointer, table);
    blob_place(at, &pointer);
}

static void place_rsdp(paddr_t at, uint32_t rsdt)
{
    struct blob pointer;

    rsdp_make(&pointer, rsdt);
    blob_place(at, &pointer);
}

static void place_rsdt(uint32_t madt)
{
    struct blob rsdt;

    acpi_begin(&rsdt, "RSDT");
    acpi_word(&rsdt, 0);
    acpi_word(&rsdt, 0xfffffff0);
    acpi_word(&rsdt, RSDT_AT); /* a table of another kind */
    acpi_word(&rsdt, madt);
    acpi_end(&rsdt);
    blob_place(RSDT_AT, &rsdt);
    firmware_forbid(RSDT_AT + rsdt.size, BEHIND / 2);
}

static void madt_sample(void)
{
    madt_begin(&blob);
    madt_local(&blob, 0, true);
    madt_local(&blob, 2, true);
    madt_local(&blob, 4, false);
    madt_io_apic(&blob, 0xfec10000);
    madt_io_apic(&blob, 0xfec20000);
    madt_local_x2(&blob, 0x12345, true);
    madt_local_x2(&blob, 0x12346, false);
    madt_local_x2(&blob, 2, true); /* listed twice */
    acpi_end(&blob);
}

static void madt_check(void)
{
    assert_int_equal(find(), 3);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 0x12345);
    assert_int_equal(io_apic, 0xfec10000);
}

static void mp_sample(void)
{
    mp_begin(&blob);
    mp_processor(&blob, 3, true);
    mp_processor(&blob, 4, false);
    mp_processor(&blob, 5, true);
    mp_other(&blob, 1);
    mp_io_apic(&blob, 0xfec30000, false);
    mp_io_apic(&blob, 0xfec40000, true);
    mp_other(&blob, 3);
    mp_end(&blob);
}

static void mp_check(void)
{
    assert_int_equal(find(), 2);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 5);
    assert_int_equal(io_apic, 0xfec40000);
}

/* ---- whole tables -----------------------------------------------------------------------------
 */

static void test_nothing(void **state)
{
    (void)state;
    check_alone();
    boot_info.rsdp = 0x1000; /* all zero there */
    check_alone();
    boot_info.rsdp = FIRMWARE_LOW_END;
    check_alone();
    boot_info.rsdp = FIRMWARE_LOW_END - 8;
    check_alone();
}

static void test_mp_table(void **state)
{
    static const paddr_t places[] = {FIRMWARE_BIOS, 0xffff0, FIRMWARE_EBDA, 0x9fff0};

    (void)state;
    mp_sample();
    blob_place(MP_AT, &blob);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        place_mp_pointer(places[i], MP_AT);
        mp_check();
        memset(phys_to_virt(places[i]), 0, 16);
        check_alone();
    }
}

static void test_madt(void **state)
{
    static const paddr_t places[] = {0xe0000, 0xf1230, 0xfffe0};

    (void)state;
    firmware_forbid(0x100000, BEHIND);
    madt_sample();
    place(MADT_AT);
    place_rsdt(MADT_AT);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        place_rsdp(places[i], RSDT_AT);
        madt_check();
        memset(phys_to_virt(places[i]), 0, 20);
        check_alone();
    }
    place_rsdp(0x7fe0003, RSDT_AT);
    boot_info.rsdp = 0x7fe0003; /* the loader says where */
    madt_check();
}

/* An XSDT counts more than an RSDT, and is all that some machines have. */
static void test_xsdt(void **state)
{
    struct blob xsdt, pointer;
    uint64_t entries[] = {0, UINT64_MAX, 1ull << 63, FIRMWARE_LOW_END, RSDT_AT, MADT_AT};

    (void)state;
    madt_sample();
    place(MADT_AT);
    acpi_begin(&xsdt, "XSDT");
    blob_add(&xsdt, entries, sizeof(entries));
    acpi_end(&xsdt);
    blob_place(0x7fe0804, &xsdt);
    firmware_forbid(0x7fe0804 + xsdt.size, 256);
    rsdp_2_make(&pointer, 0, 0x7fe0804);
    blob_place(0xf1230, &pointer);
    madt_check();
    boot_info.rsdp = 0xf1230;
    madt_check();

    rsdp_2_make(&pointer, RSDT_AT, 1ull << 40); /* damaged: the old one will do */
    blob_place(0xf1230, &pointer);
    place_rsdt(MADT_AT);
    madt_check();
    rsdp_2_make(&pointer, 0x7fe0804, RSDT_AT); /* neither is what it should be */
    blob_place(0xf1230, &pointer);
    check_alone();
    place_rsdp(FIRMWARE_LOW_END - 20, RSDT_AT); /* no room for the newer fields */
    *(uint8_t *)phys_to_virt(FIRMWARE_LOW_END - 5) = 2;
    boot_info.rsdp = FIRMWARE_LOW_END - 20;
    madt_check();
}

/* Firmware may list one processor of each package in the MP table. */
static void test_loader_knows(void **state)
{
    (void)state;
    madt_sample();
    place(MADT_AT);
    place_rsdt(MADT_AT);
    place_rsdp(0xf1230, RSDT_AT);
    mp_sample();
    blob_place(MP_AT, &blob);
    place_mp_pointer(0xf0010, MP_AT);
    boot_info.rsdp = 0xf1230;
    madt_check();
    boot_info.rsdp = 0xf1000; /* nothing is there */
    mp_check();
}

static void test_mp_table_first(void **state)
{
    (void)state;
    madt_sample();
    place(MADT_AT);
    place_rsdt(MADT_AT);
    place_rsdp(0xf1230, RSDT_AT);
    mp_sample();
    blob_place(MP_AT, &blob);
    place_mp_pointer(0xf0010, MP_AT);
    mp_check();
    mp_begin(&blob); /* one that names nobody */
    mp_end(&blob);
    blob_place(MP_AT, &blob);
    madt_check();
}

static void test_too_many(void **state)
{
    (void)state;
    mp_begin(&blob);
    for (unsigned i = 0; i < 150; i++)
        mp_processor(&blob, (uint8_t)(i * 3), true);
    mp_end(&blob);
    blob_place(0x20000, &blob);
    place_mp_pointer(FIRMWARE_BIOS, 0x20000);
    assert_int_equal(find(), MAX_CPUS);
    for (unsigned i = 0; i < MAX_CPUS; i++)
        assert_int_equal(ids[i], (uint8_t)(i * 3));
}

/* ---- damaged tables ---------------------------------------------------------------------------
 */

static void test_bad_sums(void **state)
{
    uint8_t *p;

    (void)state;
    madt_sample();
    place(MADT_AT);
    place_rsdt(MADT_AT);
    place_rsdp(0xf1230, RSDT_AT);
    madt_check();
    for (unsigned i = 0; i < 3; i++) {
        p = phys_to_virt((const paddr_t[]){MADT_AT, RSDT_AT, 0xf1230}[i] + 8);
        ++*p;
        check_alone();
        --*p;
    }
    place_mp_pointer(FIRMWARE_BIOS, MP_AT);
    p = phys_to_virt(FIRMWARE_BIOS + 8);
    ++*p;
    madt_check();
}

/* Every length that a table of entries can claim: never more is read than it says, nor than is
 * mapped. */
static void test_mp_lengths(void **state)
{
    (void)state;
    mp_sample();
    place_mp_pointer(FIRMWARE_BIOS, 0x20000);
    for (unsigned length = 0; length <= blob.size; length++) {
        blob.bytes[4] = (uint8_t)length;
        blob_place(0x20000, &blob);
        firmware_allow(0x20000, MAX(length, 44u));
        firmware_forbid(0x20000 + MAX(length, 44u), BEHIND);
        assert_in_range(find(), 1, 2);
        if (length < 44 + 8)
            check_alone();
        firmware_allow(0x20000, 2 * BEHIND);
    }
}

static void test_mp_at_the_end(void **state)
{
    paddr_t at = FIRMWARE_LOW_END - 44;

    (void)state;
    mp_begin(&blob);
    mp_end(&blob);
    blob_place(at, &blob);
    place_mp_pointer(FIRMWARE_BIOS, (uint32_t)at);
    check_alone();
    *(uint8_t *)phys_to_virt(at + 4) = 64; /* beyond what is mapped */
    check_alone();
    for (uint32_t table = (uint32_t)FIRMWARE_LOW_END - 43; table < FIRMWARE_LOW_END + 2; table++) {
        place_mp_pointer(FIRMWARE_BIOS, table);
        check_alone();
    }
    place_mp_pointer(FIRMWARE_BIOS, 0);
    check_alone();
    place_mp_pointer(FIRMWARE_BIOS, UINT32_MAX);
    check_alone();
}

static void test_madt_lengths(void **state)
{
    uint32_t whole;

    (void)state;
    place_rsdt(MADT_AT);
    place_rsdp(0xf1230, RSDT_AT);
    madt_sample();
    whole = (uint32_t)blob.size;
    for (uint32_t length = 0; length <= whole; length++) {
        memcpy(blob.bytes + 4, &length, 4);
        blob_sum(blob.bytes, MAX(length, 10u), 9);
        blob_place(MADT_AT, &blob);
        firmware_forbid(MADT_AT + MAX(length, 36u), BEHIND);
        assert_in_range(find(), 1, 3);
        if (length < 44 + 8)
            check_alone();
        firmware_allow(MADT_AT, 2 * BEHIND);
    }
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t lengths[] = {UINT32_MAX, 0x3fffffff, 0x80000000};

        memcpy(blob.bytes + 4, &lengths[i], 4);
        blob_place(MADT_AT, &blob);
        check_alone();
    }
}

static void test_madt_entries(void **state)
{
    /* Entries of length 0, 1, too short for their kind, and beyond the end. */
    static const uint8_t tails[][4] = {{0, 0}, {0, 1},   {0, 4, 9, 9}, {9, 8},
                                       {1, 4}, {0, 255}, {77, 5}};

    (void)state;
    place_rsdt(MADT_AT);
    place_rsdp(0xf1230, RSDT_AT);
    for (unsigned i = 0; i < ARRAY_SIZE(tails); i++) {
        madt_begin(&blob);
        madt_local(&blob, 6, true);
        blob_add(&blob, tails[i], 4);
        acpi_end(&blob);
        place(MADT_AT);
        assert_int_equal(find(), 1);
        assert_int_equal(ids[0], 6);
        firmware_allow(MADT_AT, 2 * BEHIND);
    }
}

static void test_rsdt_damage(void **state)
{
    (void)state;
    madt_sample();
    place(MADT_AT);
    for (unsigned cut = 0; cut <= 8; cut++) { /* odd lengths */
        acpi_begin(&blob, "RSDT");
        acpi_word(&blob, 0x1000);
        acpi_word(&blob, MADT_AT);
        blob.size -= cut;
        acpi_end(&blob);
        blob_place(RSDT_AT, &blob);
        firmware_forbid(RSDT_AT + blob.size, BEHIND / 2);
        place_rsdp(0xf1230, RSDT_AT);
        if (cut == 0)
            madt_check();
        else
            check_alone();
        firmware_allow(RSDT_AT, BEHIND);
    }
    place_rsdp(0xf1230, 0);
    check_alone();
    place_rsdp(0xf1230, FIRMWARE_LOW_END - 4);
    check_alone();
    place_rsdp(0xf1230, MADT_AT); /* another kind of table */
    check_alone();
    acpi_begin(&blob, "XSDT");
    acpi_end(&blob);
    blob_place(RSDT_AT, &blob);
    place_rsdp(0xf1230, RSDT_AT);
    check_alone();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing),        CASE(test_mp_table),     CASE(test_madt),
        CASE(test_xsdt),           CASE(test_loader_knows), CASE(test_too_many),
        CASE(test_mp_table_first), CASE(test_bad_sums),     CASE(test_mp_lengths),
        CASE(test_mp_at_the_end),  CASE(test_madt_lengths), CASE(test_madt_entries),
        CASE(test_rsdt_damage),
    };

    return cmocka_run_group_tests_name("mp", tests, NULL, NULL);
}
