/*
 * fuzz_model.c: see fuzz.h. Which contexts and objects there must be, from what was answered so far: an
 * identifier is given once, what is destroyed was there, and what was answered with ERR_ID was not, or
 * was already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "fuzz.h"

#define ROOM 5u /* identifiers that are picked */

enum kind { CONTEXT, BUFFER, PROGRAM, KERNEL, KINDS };

static struct {
    bool context;
    bool objects[KINDS][4097]; /* none of CONTEXT */
} contexts[257];

void model_clear(void)
{
    memset(contexts, 0, sizeof(contexts));
}

static bool *place_of(enum kind kind, const struct vgpgpu_request *request)
{
    if (!request->context || request->context > 256)
        return NULL;
    if (kind == CONTEXT)
        return &contexts[request->context].context;
    return request->object && request->object <= 4096 && contexts[request->context].context
               ? &contexts[request->context].objects[kind][request->object]
               : NULL;
}

/* An identifier of 1 to ROOM that is taken, or free, as wanted; any if there is none such. */
static uint32_t pick(const bool *taken, size_t step, bool there)
{
    uint32_t first = random_below(ROOM);
    for (uint32_t i = 0; i < ROOM; i++) {
        uint32_t id = 1 + (first + i) % ROOM;
        if (taken[id * step] == there)
            return id;
    }
    return 1 + first;
}

uint32_t model_context(bool there)
{
    return pick(&contexts[0].context, sizeof(contexts[0]) / sizeof(bool), there);
}

uint32_t model_object(uint32_t type, uint32_t context, bool there)
{
    enum kind kind = type <= VGPGPU_BUFFER_DESTROY || type == VGPGPU_SUB_BUFFER_CREATE ? BUFFER : type <= VGPGPU_PROGRAM_DESTROY ? PROGRAM : KERNEL;
    return context <= ROOM ? pick(contexts[context].objects[kind], 1, there) : 1;
}

static void create_check(enum kind kind, const struct vgpgpu_request *request, uint32_t status)
{
    bool *place = place_of(kind, request);
    if (status == VGPGPU_OK) {
        assert_non_null(place);
        assert_false(*place);
        *place = true;
    } else if (status == VGPGPU_ERR_ID && kind != KERNEL && request->type != VGPGPU_SUB_BUFFER_CREATE) {
        /* of these the program, or the buffer, may be missing */
        assert_true(!place || *place);
    }
}

static void destroy_check(enum kind kind, const struct vgpgpu_request *request, uint32_t status)
{
    bool *place = place_of(kind, request);
    if (status == VGPGPU_OK) {
        assert_non_null(place);
        assert_true(*place);
        *place = false;
        if (kind == CONTEXT)
            memset(&contexts[request->context], 0, sizeof(contexts[0]));
    } else if (status == VGPGPU_ERR_ID) {
        assert_true(!place || !*place);
    }
}

static void query_check(const struct vgpgpu_query *request, size_t bytes, uint32_t status)
{
    if (status || bytes < sizeof(*request))
        return;
    bool *place = place_of(request->what == VGPGPU_QUERY_BINARY ? PROGRAM : KERNEL, &request->header);
    assert_non_null(place);
    assert_true(*place);
}

static void sub_buffer_check(const struct vgpgpu_sub_buffer_create *request, uint32_t status)
{
    struct vgpgpu_request of = request->header;
    of.object = request->buffer;
    bool *place = place_of(BUFFER, &of);
    if (status == VGPGPU_OK) {
        assert_non_null(place);
        assert_true(*place);
    }
    create_check(BUFFER, &request->header, status);
}

void model_check(const void *request, size_t bytes, uint32_t status)
{
    static const enum kind kinds[] = {
        [VGPGPU_CONTEXT_CREATE] = CONTEXT,  [VGPGPU_CONTEXT_DESTROY] = CONTEXT,
        [VGPGPU_BUFFER_CREATE] = BUFFER,    [VGPGPU_BUFFER_DESTROY] = BUFFER,
        [VGPGPU_PROGRAM_CREATE] = PROGRAM,  [VGPGPU_PROGRAM_DESTROY] = PROGRAM,
        [VGPGPU_KERNEL_CREATE] = KERNEL,    [VGPGPU_KERNEL_DESTROY] = KERNEL,
    };
    struct vgpgpu_request header;
    if (bytes < sizeof(header)) {
        assert_int_not_equal(status, VGPGPU_OK);
        return;
    }
    memcpy(&header, request, sizeof(header));
    if (header.type == VGPGPU_QUERY)
        query_check(request, bytes, status);
    else if (header.type == VGPGPU_CONTEXT_LIMIT)
        assert_true(status || (place_of(CONTEXT, &header) && *place_of(CONTEXT, &header)));
    else if (header.type == VGPGPU_SUB_BUFFER_CREATE && bytes >= sizeof(struct vgpgpu_sub_buffer_create))
        sub_buffer_check(request, status);
    else if (!header.type || header.type >= sizeof(kinds) / sizeof(kinds[0]))
        assert_int_not_equal(status, VGPGPU_OK);
    else if (header.type % 2) /* creations have odd numbers */
        create_check(kinds[header.type], &header, status);
    else
        destroy_check(kinds[header.type], &header, status);
}
