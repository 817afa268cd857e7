/*
 * malformed.c: damaged modules: each is refused, with an error and never with a fault, and takes no
 * memory along. `ktest.mutations=N` how many, `ktest.seed=N` which.
 *
 * No code of a damaged module may run, because then anything could happen that is not the loader's
 * fault. So every mutant is made from a module whose manifest names an init outside of it: the
 * loader goes all the way and refuses it in its last check. What changes that very field is left
 * out. Without signatures (`module.unsigned=allow`) the loader comes that far; otherwise it refuses
 * what is well-formed for its missing signature, and the case `signed` changes code, too.
 */
#include "ktest.h"
#include <microlake/module.h>
#include "lib/kmodfile/kmodfile.h"

#define FAR_AWAY     (1ull << 40) /* more than module space is large */
#define SIGNED_FLIPS 60

static const char *const samples[] = {"template", "sched_fair", "virtio_mmio", "mlaas"};

enum part { HEADER, IMPORTS, PLACES, SYMBOLS, NAMES, MANIFEST, PARTS };

/* The file that is being damaged, and where its parts were when it was whole. */
struct mutant {
    uint8_t *bytes;
    size_t size;
    uint64_t random;
    struct {
        size_t start, length;
    } parts[PARTS];
};

static struct kmodfile file; /* one case runs at a time */

static uint64_t below(struct mutant *m, uint64_t limit)
{
    return ktest_random(&m->random) % limit;
}

static bool unsigned_allowed(void)
{
    const char *choice = boot_option("module.unsigned", 0);

    return choice && !strcmp(choice, "allow");
}

/* ---- the module that is whole but for its init ----------------------------------------------- */

static void part_note(struct mutant *m, enum part part, const void *start, size_t length)
{
    m->parts[part].start = (size_t)((const uint8_t *)start - m->bytes);
    m->parts[part].length = length;
}

/* The manifest, in the file. */
static struct kmod_manifest *manifest_of(struct kmodfile *f)
{
    const struct kmodfile_part *data = &f->areas[KMODFILE_DATA];

    return (struct kmod_manifest *)(data->bytes + (f->header->manifest - data->offset));
}

static void parts_note(struct mutant *m)
{
    const struct kmodfile_header *h = file.header;

    part_note(m, HEADER, h, sizeof(*h));
    part_note(m, IMPORTS, file.imports, h->import_count * sizeof(file.imports[0]));
    part_note(m, PLACES, file.places, h->place_count * sizeof(file.places[0]));
    part_note(m, SYMBOLS, file.symbols, h->symbol_count * sizeof(file.symbols[0]));
    part_note(m, NAMES, file.names, file.names_size);
    part_note(m, MANIFEST, manifest_of(&file), sizeof(struct kmod_manifest));
}

/* A name of its own, because the real one may be loaded; no signature; init far away. */
static bool base_make(const struct boot_file *from, struct mutant *m)
{
    struct kmod_manifest manifest;

    m->size = from->size - sizeof(struct kmod_signature);
    memcpy(m->bytes, from->data, from->size);
    if (kmodfile_decode(m->bytes, m->size, &file) != KMODFILE_OK)
        return false;
    parts_note(m);
    memcpy(&manifest, manifest_of(&file), sizeof(manifest));
    manifest.init = (int (*)(void))((uintptr_t)manifest.init + FAR_AWAY);
    strlcpy(manifest.name, "mutant", sizeof(manifest.name));
    memcpy(manifest_of(&file), &manifest, sizeof(manifest));
    return true;
}

/*
 * Whether the loader must refuse it in the end: the field init is still far away. To what stands
 * there the base may be added, also more than once, but no part of it may change otherwise.
 */
static bool init_is_far(const struct mutant *m, bool *well_formed)
{
    struct kmod_manifest manifest;
    uint32_t own_end, own_start;
    size_t at;

    *well_formed = kmodfile_decode(m->bytes, m->size, &file) == KMODFILE_OK;
    if (!*well_formed)
        return true;
    memcpy(&manifest, manifest_of(&file), sizeof(manifest));
    if ((uintptr_t)manifest.init < FAR_AWAY || (uintptr_t)manifest.init >= 2 * FAR_AWAY)
        return false;
    at = file.header->manifest + offsetof(struct kmod_manifest, init);
    own_start = file.header->own.relative32 + file.header->own.absolute32;
    own_end = own_start + file.header->own.absolute64;
    for (uint32_t i = 0; i < file.header->place_count; i++) {
        size_t place = file.places[i];
        bool own = i >= own_start && i < own_end;

        if (place + 8 > at && place < at + 8 && !(own && place == at))
            return false;
    }
    return true;
}

/* ---- damage ---------------------------------------------------------------------------------- */

static uint64_t value_choose(struct mutant *m)
{
    static const uint64_t edges[] = {
        0,    1,     2,         3,   7,         8,         24,   63,       64,        4095,
        4096, 65535, 1ul << 31, ~0u, 1ul << 32, 1ul << 63, ~0ul, ~0ul - 7, ~0ul << 12};

    switch (below(m, 4)) {
    case 0:
        return m->size + below(m, 17) - 8;
    case 1:
        return ktest_random(&m->random);
    default:
        return edges[below(m, ARRAY_SIZE(edges))];
    }
}

/* Overwrites 1, 2, 4 or 8 bytes, or changes a bit, somewhere in the range. */
static void range_damage(struct mutant *m, size_t start, size_t length)
{
    size_t width = 1ul << below(m, 4), at;
    uint64_t value = value_choose(m);

    if (length < 8)
        return;
    at = start + below(m, length - width + 1);
    if (below(m, 2))
        at -= (at - start) % width; /* most fields are aligned */
    if (below(m, 4) == 0)
        m->bytes[at] ^= (uint8_t)(1u << below(m, 8));
    else
        memcpy(m->bytes + at, &value, width);
}

/* Copies a block of the file over another. */
static void block_damage(struct mutant *m)
{
    size_t length = 1 + below(m, 256);

    if (m->size > length)
        memmove(m->bytes + below(m, m->size - length), m->bytes + below(m, m->size - length),
                length);
}

/* Three of ten changes go anywhere, the others to the parts that the loader reads. */
static void damage_once(struct mutant *m)
{
    static const enum part aims[] = {HEADER,  HEADER,  IMPORTS, PLACES,
                                     SYMBOLS, NAMES,   MANIFEST};
    uint64_t choice = below(m, 10);

    if (choice < ARRAY_SIZE(aims))
        range_damage(m, m->parts[aims[choice]].start, m->parts[aims[choice]].length);
    else if (choice == ARRAY_SIZE(aims))
        m->bytes[below(m, m->size)] ^= (uint8_t)(1u << below(m, 8));
    else
        block_damage(m);
}

static void mutate(struct mutant *m)
{
    for (uint64_t n = 1 + below(m, 3); n > 0; n--)
        damage_once(m);
    if (below(m, 12) == 0)
        m->size = below(m, m->size);
}

/* ---- cases ----------------------------------------------------------------------------------- */

struct tally {
    unsigned loaded, left_out, well_formed;
};

static void mutant_try(const struct boot_file *from, struct mutant *m, struct tally *tally)
{
    bool well_formed;

    EXPECT(base_make(from, m));
    mutate(m);
    if (!init_is_far(m, &well_formed)) {
        tally->left_out++;
        return;
    }
    tally->well_formed += well_formed;
    if (module_load_bytes(m->bytes, m->size) == OK)
        tally->loaded++;
}

static bool sample_open(const char *name, struct boot_file *from, struct mutant *m)
{
    char path[64];

    snprintf(path, sizeof(path), "lib/modules/%s.kmod", name);
    if (boot_file_find(path, from) != OK)
        return false;
    m->bytes = kmalloc(from->size);
    return m->bytes;
}

static void mutants_of(const char *name, unsigned count, struct tally *tally)
{
    static struct mutant m;
    int refusal = unsigned_allowed() ? ERR_BAD_FORMAT : ERR_ACCESS;
    struct boot_file from;

    m.random = boot_option_number("ktest.seed", 1) * 2 + 1;
    if (!sample_open(name, &from, &m)) {
        ktest_fail(__FILE__, __LINE__, name);
        return;
    }
    EXPECT(base_make(&from, &m));
    EXPECT(module_load_bytes(m.bytes, m.size) == refusal);
    for (unsigned i = 0; i < count; i++)
        mutant_try(&from, &m, tally);
    kfree(m.bytes);
}

static void mutants(void)
{
    unsigned count = (unsigned)boot_option_number("ktest.mutations", 2000);
    struct tally tally = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(samples); i++)
        mutants_of(samples[i], count / ARRAY_SIZE(samples), &tally);
    EXPECT(tally.loaded == 0);
    EXPECT(module_find("mutant") == NULL);
    /* Both ways must be taken, or the case says little. */
    EXPECT(count < 200 || (tally.well_formed > count / 50 && tally.well_formed < count));
    EXPECT(tally.left_out <= count / 20);
    host_stat("malformed.well_formed=%u", tally.well_formed);
    host_stat("malformed.left_out=%u", tally.left_out);
}

/* With signatures every single changed bit is noticed, in code as anywhere. */
static void signed_bits(void)
{
    static struct mutant m;
    struct boot_file from;

    if (unsigned_allowed())
        return;
    m.random = boot_option_number("ktest.seed", 1) * 2 + 1;
    EXPECT(sample_open("template", &from, &m));
    memcpy(m.bytes, from.data, from.size);
    EXPECT(module_load_bytes(m.bytes, from.size) == OK);
    EXPECT(module_unload("template") == OK);
    for (unsigned i = 0; i < SIGNED_FLIPS; i++) {
        size_t at = below(&m, from.size);
        uint8_t bit = (uint8_t)(1u << below(&m, 8));

        m.bytes[at] ^= bit;
        EXPECT(module_load_bytes(m.bytes, from.size) < 0);
        m.bytes[at] ^= bit;
    }
    EXPECT(module_load_bytes(m.bytes, from.size - sizeof(struct kmod_signature)) == ERR_ACCESS);
    kfree(m.bytes);
}

/* Cut off after any number of bytes. */
static void truncated(void)
{
    static struct mutant m;
    struct boot_file from;
    size_t size;

    EXPECT(sample_open("template", &from, &m));
    memcpy(m.bytes, from.data, from.size);
    size = from.size - sizeof(struct kmod_signature);
    for (size_t length = 0; length < size; length += length < 128 ? 1 : size / 100)
        EXPECT(module_load_bytes(m.bytes, length) == ERR_BAD_FORMAT);
    kfree(m.bytes);
}

static const struct ktest_case cases[] = {
    {"mutants", mutants},
    {"signed_bits", signed_bits},
    {"truncated", truncated},
    {NULL, NULL},
};

const struct ktest_suite suite_malformed = {.name = "malformed", .cases = cases};
