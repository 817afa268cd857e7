/*
 * file.c: models' bytes. Small ones lie in the heap; large ones in single frames that are mapped
 * side by side, so that they need no large block.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "store.h"

#define HEAP_MAX  (64u << 10)
#define PATH_ROOM (sizeof("lib/models/.mlm") + MODELS_NAME_MAX)

static void frames_free(paddr_t *frames, size_t count)
{
    while (count)
        frame_free(frames[--count], 0);
    kfree(frames);
}

/* The table of frames lies at the end of the mapping's own memory: kept beside it. */
struct mapped_file {
    struct models_file file;
    paddr_t *frames;
    size_t count;
};

static bool bytes_map(struct mapped_file *m)
{
    size_t count = (m->file.size + PAGE_SIZE - 1) / PAGE_SIZE;

    m->frames = kmalloc(count * sizeof(*m->frames));
    if (!m->frames)
        return false;
    for (; m->count < count; m->count++) {
        m->frames[m->count] = frame_alloc(0, 0);
        if (!m->frames[m->count])
            break;
    }
    if (m->count == count)
        m->file.bytes = kmap_frames(m->frames, count, KMAP_WRITE);
    if (!m->file.bytes)
        frames_free(m->frames, m->count);
    return m->file.bytes;
}

struct models_file *file_create(size_t size, enum file_source source)
{
    struct mapped_file *m = kzalloc(sizeof(*m));
    bool there;

    if (!m)
        return NULL;
    m->file =
        (struct models_file){.refs = 1, .size = size, .mapped = size > HEAP_MAX, .source = source};
    if (m->file.mapped)
        there = bytes_map(m);
    else
        there = (m->file.bytes = kmalloc(size ? size : 1));
    if (there)
        return &m->file;
    kfree(m);
    return NULL;
}

struct models_file *file_copy(const void *bytes, size_t size, enum file_source source)
{
    struct models_file *file = file_create(size, source);

    if (file)
        memcpy(file->bytes, bytes, size);
    return file;
}

void file_ref(struct models_file *file)
{
    __atomic_fetch_add(&file->refs, 1, __ATOMIC_RELAXED);
}

void file_unref(struct models_file *file)
{
    struct mapped_file *m = container_of(file, struct mapped_file, file);

    if (__atomic_sub_fetch(&file->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (file->mapped) {
        kunmap(file->bytes, m->count * PAGE_SIZE);
        frames_free(m->frames, m->count);
    } else {
        kfree(file->bytes);
    }
    kfree(m);
}

int file_default(const struct models_want *want, struct models_file **out)
{
    char path[PATH_ROOM];
    struct boot_file boot;

    if (want->embedded) {
        *out = file_copy(want->embedded, want->embedded_bytes, FILE_EMBEDDED);
    } else {
        snprintf(path, sizeof(path), "lib/models/%s.mlm", want->name);
        if (boot_file_find(path, &boot) != OK)
            return ERR_NOT_FOUND;
        *out = file_copy(boot.data, boot.size, FILE_BOOT);
    }
    return *out ? OK : ERR_NO_MEMORY;
}

int file_check(const struct models_file *file, char *why)
{
    struct mlrt_model model;
    int status = mlrt_open(&model, file->bytes, file->size, MLRT_SCALAR);

    if (status == MLRT_OK)
        return OK;
    snprintf(why, MODELS_WHY_MAX, "the file is %s", mlrt_error_text(status));
    return ERR_BAD_FORMAT;
}
