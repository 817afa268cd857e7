/*
 * fuzz_pci_layout.c: damaged configuration spaces for virtio_pci: fuzz_pci_layout [SEED
 * [ITERATIONS]]. Nothing outside the space is read, and a layout that is accepted is one that the
 * driver can rely on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/pci_layout/space.h"

static struct fuzz_plan plan;

static void layout_check(const uint8_t *space, const struct pci_layout *l)
{
    assert_int_not_equal(l->virtio_id, 0);
    assert_true(l->parts[PCI_COMMON].length >= 56 && l->parts[PCI_NOTIFY].length >= 2);
    assert_int_not_equal(l->parts[PCI_ISR].length, 0);
    assert_int_equal(l->notify_multiplier % 2, 0);
    assert_int_equal(l->parts[PCI_MSIX_TABLE].length, l->messages * 16);
    for (unsigned i = 0; i < PCI_PARTS; i++) {
        const struct pci_place *p = &l->parts[i];
        struct pci_bar bar;

        assert_true(p->bar < PCI_BARS && p->offset <= UINT32_MAX - p->length);
        if (!pci_bar_read(space, p->bar, &bar))
            assert_true(bar.address != 0 && (!bar.wide || p->bar < PCI_BARS - 1));
    }
}

static void damaged_spaces(void **state)
{
    uint64_t accepted = 0;

    (void)state;
    for (uint64_t i = 0; i < plan.iterations; i++) {
        uint8_t *space = malloc(PCI_CONFIG_SIZE);
        struct pci_layout layout;

        fuzz_seed(plan.seed, i);
        space_make(space);
        for (uint64_t n = 1 + fuzz_below(8); n > 0; n--)
            fuzz_mutate_once(space, PCI_CONFIG_SIZE);
        if (!pci_layout_read(space, &layout)) {
            layout_check(space, &layout);
            accepted++;
        }
        free(space);
    }
    assert_in_range(accepted, 1, plan.iterations - 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_spaces)};

    plan = fuzz_plan_read(argc, argv, 200000);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
