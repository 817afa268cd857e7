/*
 * transfer.c: between a program's own memory and buffers that are not mapped: by way of a small buffer in
 * guest memory, piece by piece.
 */
#include "internal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define PIECE_BYTES (1u << 20)

struct transfer {
    struct malv_device *device;
    uint32_t queue;
    const struct malv_buffer *buffer;
    struct malv_buffer piece;
    struct malv_batch batch;
};

/* Copies between piece and buffer, after what the queue has to do; then it has been done. */
static int piece_copy(struct transfer *t, uint64_t offset, uint64_t bytes, bool writes)
{
    uint64_t fence;
    malv_batch_reset(&t->batch);
    if (writes) {
        malv_batch_copy(&t->batch, &t->piece, 0, t->buffer, offset, bytes);
    } else {
        malv_batch_copy(&t->batch, t->buffer, offset, &t->piece, 0, bytes);
    }
    int error = malv_submit(t->device, t->queue, &t->batch, &fence);
    return error != 0 ? error : malv_wait(t->device, t->queue, fence, UINT64_MAX);
}

static int pieces_move(struct transfer *t, uint64_t offset, const uint8_t *from, uint8_t *to, uint64_t bytes)
{
    int error = 0;
    for (uint64_t done = 0; error == 0 && done < bytes;) {
        uint64_t part = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        if (from != NULL) {
            memcpy(t->piece.memory, from + done, part);
        }
        error = piece_copy(t, offset + done, part, from != NULL);
        if (error == 0 && to != NULL) {
            memcpy(to + done, t->piece.memory, part);
        }
        done += part;
    }
    return error;
}

static int transfer_run(struct malv_device *device, uint32_t queue, const struct malv_buffer *buffer,
                        uint64_t offset, const void *from, void *to, uint64_t bytes)
{
    struct transfer t = {.device = device, .queue = queue, .buffer = buffer};
    if (queue >= VGPGPU_QUEUES_PER_CONTEXT) {
        return -EINVAL;
    }
    if (offset > buffer->size || bytes > buffer->size - offset) {
        return -ERANGE;
    }
    if (bytes == 0) {
        return 0;
    }
    int error = malv_buffer_create(device, bytes < PIECE_BYTES ? bytes : PIECE_BYTES, VGPGPU_BUFFER_GUEST,
                                   &t.piece);
    if (error != 0) {
        return error;
    }
    malv_batch_init(&t.batch);
    error = malv_buffer_map(device, &t.piece);
    if (error == 0) {
        error = pieces_move(&t, offset, from, to, bytes);
    }
    malv_batch_free(&t.batch);
    malv_buffer_destroy(device, &t.piece);
    return error;
}

int malv_write(struct malv_device *device, uint32_t queue, const struct malv_buffer *target,
               uint64_t offset, const void *data, uint64_t bytes)
{
    return transfer_run(device, queue, target, offset, data, NULL, bytes);
}

int malv_read(struct malv_device *device, uint32_t queue, const struct malv_buffer *source,
              uint64_t offset, void *data, uint64_t bytes)
{
    return transfer_run(device, queue, source, offset, NULL, data, bytes);
}
