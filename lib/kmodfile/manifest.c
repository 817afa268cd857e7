/*
 * manifest.c: checks what a manifest says. Nothing in it is trusted, NULs included.
 */
#include "lib/kmodfile/kmodfile.h"

#include <kmod_interface.h>

#include <string.h>

/* Sets of characters below 128: a bit each. */
#define DIGITS  (0x3ffull << '0')
#define SMALL   (0x3ffffffull << ('a' - 64))
#define CAPITAL (0x3ffffffull << ('A' - 64))
#define ONE(c)  (1ull << ((c) & 63))

static const uint64_t name_set[2] = {DIGITS, SMALL | ONE('_')};
static const uint64_t version_set[2] = {DIGITS | ONE('.') | ONE('-') | ONE('+'),
                                        SMALL | CAPITAL | ONE('_')};

static bool char_in(char c, const uint64_t set[2])
{
    return ((uint8_t)c < 128) & (set[(uint8_t)c >> 6 & 1] >> (c & 63));
}

/* Characters of a set, at least one, and a NUL within size bytes. */
static bool text_valid(const char *text, size_t size, const uint64_t set[2])
{
    size_t n = 0;

    while (n < size && char_in(text[n], set))
        n++;
    return n > 0 && n < size && text[n] == '\0';
}

bool kmod_name_valid(const char *name, size_t size)
{
    return text_valid(name, size, name_set);
}

/* "" or names with one comma between two. */
static bool needs_valid(const char needs[KMOD_NEEDS_MAX])
{
    size_t name_length = 0, length;

    if (needs[0] == '\0')
        return true;
    length = strnlen(needs, KMOD_NEEDS_MAX);
    if (length == KMOD_NEEDS_MAX)
        return false;
    for (size_t i = 0; i <= length; i++) {
        if (needs[i] != ',' && needs[i] != '\0') {
            if (!char_in(needs[i], name_set) || ++name_length >= KMOD_NAME_MAX)
                return false;
            continue;
        }
        if (name_length == 0)
            return false;
        name_length = 0;
    }
    return true;
}

int kmod_manifest_check(const struct kmod_manifest *manifest)
{
    if (manifest->magic != KMOD_MAGIC)
        return KMODFILE_MANIFEST_MAGIC;
    if (manifest->abi_version != KMOD_ABI_VERSION)
        return KMODFILE_MANIFEST_ABI;
    if (manifest->struct_size != sizeof(*manifest))
        return KMODFILE_MANIFEST_SIZE;
    if (manifest->interface != KMOD_INTERFACE)
        return KMODFILE_MANIFEST_INTERFACE;
    if (!kmod_name_valid(manifest->name, sizeof(manifest->name)))
        return KMODFILE_MANIFEST_NAME;
    if (!text_valid(manifest->version, sizeof(manifest->version), version_set))
        return KMODFILE_MANIFEST_VERSION;
    if (!needs_valid(manifest->needs))
        return KMODFILE_MANIFEST_NEEDS;
    return KMODFILE_OK;
}

bool kmod_need_next(const char *needs, size_t *cursor, char name[KMOD_NAME_MAX])
{
    const char *start = needs + *cursor;
    size_t length = 0;

    while (start[length] != '\0' && start[length] != ',')
        length++;

    if (length == 0)
        return false;
    memcpy(name, start, length);
    name[length] = '\0';
    *cursor += length + (start[length] == ',');
    return true;
}
