/*
 * manifest.c: checks what a manifest says. Nothing in it is trusted, NULs included.
 */
#include "lib/kmodfile/kmodfile.h"

#include <kmod_interface.h>

#include <string.h>

static bool name_char_valid(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool version_char_valid(char c)
{
    return name_char_valid(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '+';
}

bool kmod_name_valid(const char *name, size_t size)
{
    size_t n = 0;

    while (n < size && name_char_valid(name[n]))
        n++;
    return n > 0 && n < size && name[n] == '\0';
}

static bool version_valid(const char version[KMOD_VERSION_MAX])
{
    size_t n = 0;

    while (n < KMOD_VERSION_MAX && version_char_valid(version[n]))
        n++;
    return n > 0 && n < KMOD_VERSION_MAX && version[n] == '\0';
}

/* "" or names with one comma between two. */
static bool needs_valid(const char needs[KMOD_NEEDS_MAX])
{
    size_t length = strnlen(needs, KMOD_NEEDS_MAX);
    size_t name_length = 0;

    if (length == 0 || length == KMOD_NEEDS_MAX)
        return length == 0;
    for (size_t i = 0; i <= length; i++) {
        if (needs[i] != ',' && needs[i] != '\0') {
            if (!name_char_valid(needs[i]) || ++name_length >= KMOD_NAME_MAX)
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
    if (!version_valid(manifest->version))
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
