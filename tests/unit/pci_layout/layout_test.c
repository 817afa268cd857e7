/*
 * layout_test.c: what virtio_pci reads from a configuration space, and what it says of a damaged
 * one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "space.h"

static uint8_t space[PCI_CONFIG_SIZE];
static struct pci_layout layout;

static void whole_device(void **state)
{
    static const struct pci_place want[PCI_PARTS] = {
        [PCI_COMMON] = {0, 0x1000, 4},         [PCI_ISR] = {0x1000, 0x1000, 4},
        [PCI_NOTIFY] = {0x3000, 0x1000, 4},    [PCI_DEVICE_CONFIG] = {0x2000, 0x1000, 4},
        [PCI_MSIX_TABLE] = {0x800, 4 * 16, 1},
    };

    (void)state;
    space_make(space);
    assert_null(pci_layout_read(space, &layout));
    assert_int_equal(layout.virtio_id, 9);
    assert_int_equal(layout.notify_multiplier, 4);
    assert_int_equal(layout.messages, 4);
    assert_int_equal(layout.msix, SPACE_MSIX);
    assert_int_equal(layout.line, 10);
    for (unsigned i = 0; i < PCI_PARTS; i++) {
        assert_int_equal(layout.parts[i].bar, want[i].bar);
        assert_int_equal(layout.parts[i].offset, want[i].offset);
        assert_int_equal(layout.parts[i].length, want[i].length);
    }
}

static void transitional_device(void **state)
{
    (void)state;
    space_make(space);
    space_half(space, PCI_DEVICE, 0x1009);
    space_half(space, PCI_SUBSYSTEM, 4);
    assert_null(pci_layout_read(space, &layout));
    assert_int_equal(layout.virtio_id, 4);
}

static void without_messages_and_config(void **state)
{
    (void)state;
    space_make(space);
    space[PCI_CAPABILITIES] = SPACE_COMMON;
    space[SPACE_ISR + 1] = SPACE_NOTIFY;
    assert_null(pci_layout_read(space, &layout));
    assert_int_equal(layout.messages, 0);
    assert_int_equal(layout.parts[PCI_MSIX_TABLE].length, 0);
    assert_int_equal(layout.parts[PCI_DEVICE_CONFIG].length, 0);
}

/* A second capability of a kind, one for a BAR that does not exist, and kinds nobody knows. */
static void what_is_passed_over(void **state)
{
    (void)state;
    space_make(space);
    space[SPACE_NOTIFY + 1] = 0xb0;
    space_part(space, 0xb0, 0xc0, 1, 0x9000, 0x40);
    space_part(space, 0xc0, 0xd0, 77, 0x9000, 0x40);
    space_part(space, 0xd0, 0xe0, 0, 0x9000, 0x40);
    space[0xe0] = 0x10;
    assert_null(pci_layout_read(space, &layout));
    assert_int_equal(layout.parts[PCI_COMMON].offset, 0);
    space_make(space);
    space[SPACE_DEVICE + 4] = 6;
    assert_null(pci_layout_read(space, &layout));
    assert_int_equal(layout.parts[PCI_DEVICE_CONFIG].length, 0);
}

static void damaged_devices(void **state)
{
    static const struct {
        unsigned at;
        uint32_t value;
        const char *says;
    } cases[] = {
        {PCI_DEVICE - 2, 0x10401af4, "of no kind"},
        {PCI_STATUS - 2, 0, "legacy"},
        {PCI_CAPABILITIES, 0, "no common"},
        {PCI_CAPABILITIES, 0x10, "list of capabilities"},
        {SPACE_NOTIFY, 0x02144c09, "list of capabilities"}, /* names itself */
        {SPACE_COMMON, 0x010f7009, "cut short"},
        {SPACE_COMMON, 0x01ff7009, "cut short"},
        {SPACE_NOTIFY, 0x02100009, "cut short"},
        {SPACE_COMMON, 0x05107009, "no common"},
        {SPACE_COMMON + 8, 2, "impossible place"},
        {SPACE_COMMON + 8, 0xfffffffc, "impossible place"},
        {SPACE_COMMON + 12, 55, "no common"},
        {SPACE_NOTIFY + 12, 1, "where to notify"},
        {SPACE_NOTIFY + 16, 3, "odd places"},
        {SPACE_ISR + 12, 0, "why it interrupts"},
        {SPACE_MSIX + 4, 0x807, "in no BAR"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *wrong;

        space_make(space);
        space_word(space, cases[i].at, cases[i].value);
        wrong = pci_layout_read(space, &layout);
        if (!wrong || !strstr(wrong, cases[i].says))
            fail_msg("case %zu: \"%s\"", i, wrong ? wrong : "nothing wrong");
    }
    space_make(space);
    space[PCI_CAPABILITIES] = 0xf8;
    space[0xf8] = 0x11;
    assert_string_equal(pci_layout_read(space, &layout), "the MSI-X capability is cut short");
}

static void bars(void **state)
{
    struct pci_bar bar;

    (void)state;
    space_make(space);
    assert_null(pci_bar_read(space, 4, &bar));
    assert_true(bar.wide);
    assert_int_equal(bar.address, 0x7000004000);
    assert_null(pci_bar_read(space, 1, &bar));
    assert_false(bar.wide);
    assert_int_equal(bar.address, 0xfebd0000);
    assert_non_null(pci_bar_read(space, 0, &bar)); /* not set */
    space_word(space, PCI_BAR, 0xc041);
    assert_non_null(pci_bar_read(space, 0, &bar)); /* ports */
    space_word(space, PCI_BAR + 20, 0xfe000004);
    assert_non_null(pci_bar_read(space, 5, &bar)); /* its other half is no BAR */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_device),
        cmocka_unit_test(transitional_device),
        cmocka_unit_test(without_messages_and_config),
        cmocka_unit_test(what_is_passed_over),
        cmocka_unit_test(damaged_devices),
        cmocka_unit_test(bars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
