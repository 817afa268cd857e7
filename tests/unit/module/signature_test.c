/*
 * signature_test.c: which files load by who signed them. The trusted key is that of RFC 8032's
 * first vector.
 */
#include "stand_ins.h"

#include "kernel/module/internal.h"
#include "lib/ed25519_sign/ed25519_sign.h"

const uint8_t module_public_key[32] = {
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
};

static const uint8_t trusted_secret[32] = {
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
};
static const uint8_t other_secret[32] = {1};

/* base's file with a signature. */
static uint8_t *base_signed(const uint8_t secret[32], size_t *size)
{
    struct kmod_signature trailer = {.version = KMOD_SIGNATURE_VERSION,
                                     .magic = KMOD_SIGNATURE_MAGIC};
    uint8_t key[32], *data = fixture_read("base", size);

    assert_non_null(data);
    ed25519_public_key(key, secret);
    memcpy(trailer.key, key, sizeof(trailer.key));
    ed25519_sign(trailer.signature, data, *size, secret);
    data = realloc(data, *size + sizeof(trailer));
    memcpy(data + *size, &trailer, sizeof(trailer));
    *size += sizeof(trailer);
    return data;
}

static size_t code_start(const uint8_t *data)
{
    struct kmodfile_header header;

    memcpy(&header, data, sizeof(header));
    return sizeof(header) + header.import_count * sizeof(struct kmodfile_import) +
           header.place_count * sizeof(kmodfile_place);
}

static void test_signed_bytes(void **state)
{
    size_t size;
    uint8_t *data = base_signed(trusted_secret, &size);

    (void)state;
    assert_int_equal(module_load_bytes(data, size), OK);
    assert_int_equal(module_unload("base"), OK);
    data[code_start(data)] ^= 1;
    assert_int_equal(module_load_bytes(data, size), ERR_ACCESS);
    assert_true(logged("module base: its signature is wrong: the file has been changed"));
    free(data);
}

static void test_other_key(void **state)
{
    size_t size;
    uint8_t *data = base_signed(other_secret, &size);

    (void)state;
    assert_int_equal(module_load_bytes(data, size), ERR_ACCESS);
    assert_true(logged("module base: it is signed with a key that this kernel does not know"));
    /* Saying that it is the other key does not help. */
    memcpy(data + size - sizeof(struct kmod_signature), module_public_key, 8);
    assert_int_equal(module_load_bytes(data, size), ERR_ACCESS);
    assert_true(logged("module base: its signature is wrong"));
    free(data);
}

static void test_unsigned(void **state)
{
    size_t size;
    uint8_t *data = fixture_read("base", &size);

    (void)state;
    assert_int_equal(module_load_bytes(data, size), ERR_ACCESS);
    assert_true(logged("module base: it is not signed: sign it with the build's key, or start the "
                       "machine with module.unsigned=allow"));
    option_unsigned = "alow";
    assert_int_equal(module_load_bytes(data, size), ERR_ACCESS);
    assert_true(logged("module.unsigned=alow is neither allow nor deny: ignored"));
    option_unsigned = "allow";
    assert_int_equal(module_load_bytes(data, size), OK);
    assert_int_equal(module_unload("base"), OK);
    free(data);
}

/* The boot archive is trusted, unless the machine's owner wants signatures everywhere. */
static void test_archive(void **state)
{
    size_t size;
    uint8_t *data = base_signed(trusted_secret, &size);

    (void)state;
    assert_int_equal(module_load("base"), OK);
    assert_int_equal(module_unload("base"), OK);
    option_unsigned = "deny";
    assert_int_equal(module_load("base"), ERR_ACCESS);
    archive_add("lib/modules/base.kmod", data, size);
    assert_int_equal(module_load("base"), OK);
    assert_int_equal(module_unload("base"), OK);
    free(data);
}

int signatures_run(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_signed_bytes),
        CASE(test_other_key),
        CASE(test_unsigned),
        CASE(test_archive),
    };

    return cmocka_run_group_tests_name("module signatures", tests, NULL, NULL);
}
