/*
 * option_test.c: what the option virtio_mmio.device= accepts, and what it says of mistakes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "modules/drivers/virtio_mmio/option.h"

static void good_options(void **state)
{
    static const struct {
        const char *text;
        struct mmio_option want;
    } cases[] = {
        {"512@0xfeb00e00:12", {512, 0xfeb00e00, 12}},
        {"4K@0xd0000000:5", {4096, 0xd0000000, 5}},
        {"4k@3489660928:0", {4096, 0xd0000000, 0}},
        {"0x200@0XFEB00000:16:3", {512, 0xfeb00000, 16}},
        {"64K@0x1000:1023", {65536, 0x1000, 1023}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mmio_option got = {0};

        assert_null(mmio_option_parse(cases[i].text, &got));
        assert_int_equal(got.size, cases[i].want.size);
        assert_int_equal(got.base, cases[i].want.base);
        assert_int_equal(got.line, cases[i].want.line);
    }
}

static void bad_options(void **state)
{
    static const char *const cases[] = {
        "",
        "512",
        "512@",
        "512@0x",
        "512@0xfeb00000",
        "512@0xfeb00000:",
        "512@0xfeb00000:5:",
        "512@0xfeb00000:5:1:2",
        "512@0xfeb00000:5x",
        "512@0xfeb00000:-5",
        "512@0xfeb00000:1024",
        "512@0xfeb00000:99999999999999999999999",
        "512@0xfeb00000:4294967301",
        "@0xfeb00000:5",
        "511@0xfeb00000:5",
        "65K@0xfeb00000:5",
        "18446744073709551615K@0xfeb00000:5",
        "512@0:5",
        "512@0xfeb00002:5",
        "512@0xffffffffffffff00:5",
        "512@0x10000000000000:5",
        "512G@0xfeb00000:5",
        " 512@0xfeb00000:5",
        "512@0xfeb00000:5 ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mmio_option got;

        if (!mmio_option_parse(cases[i], &got))
            fail_msg("accepted: %s", cases[i]);
    }
}

/* Every cut and every changed byte of a good text: no over-read (the copy is exact), no crash. */
static void damaged_options(void **state)
{
    static const char good[] = "512@0xfeb00e00:12:1";

    (void)state;
    for (size_t cut = 0; cut < sizeof(good); cut++) {
        for (int byte = 1; byte < 256; byte++) {
            char *copy = calloc(1, cut + 1);
            struct mmio_option got;

            memcpy(copy, good, cut);
            if (cut)
                copy[cut / 2] = (char)byte;
            mmio_option_parse(copy, &got);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_options),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(damaged_options),
    };

    return cmocka_run_group_tests_name("mmio_option", tests, NULL, NULL);
}
