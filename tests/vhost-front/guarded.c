/* guarded.c: see guarded.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "guarded.h"

#define GUARD 0xff /* all of them are no number, in each type of floating point */

static void guard_add(struct guarded *buffer, uint8_t *page)
{
    memset(page, GUARD, VGPGPU_PAGE);
    buffer->guards[buffer->guard_count++] = page;
}

static void whole_make(struct guarded *buffer, struct rig *rig, uint64_t guest, unsigned pages, bool part)
{
    struct vgpgpu_segment segment = {guest + VGPGPU_PAGE, buffer->bytes};
    for (unsigned i = 0; i < pages; i++)
        buffer->pages[i] = front_at(rig->front, guest + (1 + i) * VGPGPU_PAGE);
    guard_add(buffer, front_at(rig->front, guest));
    guard_add(buffer, front_at(rig->front, guest + (1 + pages) * VGPGPU_PAGE));
    if (part)
        segment = (struct vgpgpu_segment){guest, buffer->bytes + 2 * VGPGPU_PAGE};
    uint32_t id = part ? 1000 + buffer->id : buffer->id;
    assert_int_equal(front_buffer_guest(rig->front, 1, id, segment.length, &segment, 1), 0);
    if (part)
        assert_int_equal(front_sub_buffer(rig->front, 1, buffer->id, id, VGPGPU_PAGE, buffer->bytes), 0);
}

/* Guard, last page, guard, last but one, and so on. */
static void list_make(struct guarded *buffer, struct rig *rig, uint64_t guest, unsigned pages)
{
    struct vgpgpu_segment *segments = calloc(pages, sizeof(*segments));
    assert_non_null(segments);
    for (unsigned i = 0; i < pages; i++) {
        uint64_t at = guest + (2 * (pages - 1 - i) + 1) * VGPGPU_PAGE;
        segments[i] = (struct vgpgpu_segment){at, VGPGPU_PAGE};
        buffer->pages[i] = front_at(rig->front, at);
    }
    for (unsigned i = 0; i <= pages; i++)
        guard_add(buffer, front_at(rig->front, guest + 2 * i * VGPGPU_PAGE));
    assert_int_equal(front_buffer_guest(rig->front, 1, buffer->id, buffer->bytes, segments, pages), 0);
    free(segments);
}

void guarded_make(struct guarded *buffer, struct rig *rig, enum guarded_kind kind, uint32_t id, unsigned pages)
{
    uint64_t guest = front_pages(rig->front, 2 * pages + 1);
    *buffer = (struct guarded){.id = id,
                               .bytes = (uint64_t)pages * VGPGPU_PAGE,
                               .pages = calloc(pages, sizeof(*buffer->pages)),
                               .guards = calloc(pages + 1, sizeof(*buffer->guards))};
    assert_non_null(buffer->pages);
    assert_non_null(buffer->guards);
    if (kind == GUARDED_LIST)
        list_make(buffer, rig, guest, pages);
    else
        whole_make(buffer, rig, guest, pages, kind == GUARDED_PART);
}

void guarded_free(struct guarded *buffer)
{
    free(buffer->pages);
    free(buffer->guards);
}

void guarded_put(struct guarded *buffer, const uint8_t *bytes)
{
    for (uint64_t at = 0; at < buffer->bytes; at += VGPGPU_PAGE)
        memcpy(buffer->pages[at / VGPGPU_PAGE], bytes + at, VGPGPU_PAGE);
}

void guarded_get(const struct guarded *buffer, uint8_t *bytes)
{
    for (uint64_t at = 0; at < buffer->bytes; at += VGPGPU_PAGE)
        memcpy(bytes + at, buffer->pages[at / VGPGPU_PAGE], VGPGPU_PAGE);
}

void guarded_check(const struct guarded *buffer)
{
    for (unsigned i = 0; i < buffer->guard_count; i++)
        for (unsigned j = 0; j < VGPGPU_PAGE; j++)
            if (buffer->guards[i][j] != GUARD)
                fail_msg("buffer %u: byte %u of its guard %u was written", buffer->id, j, i);
}
