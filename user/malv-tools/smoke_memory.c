/*
 * smoke_memory.c: checks of memory: in place, by copy, fills, and what must be refused.
 */
#include "smoke.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BYTES     (1u << 20)
#define WORDS     (BYTES / sizeof(uint32_t))
#define ODD       4097u /* an odd number of bytes, from an odd place */
#define NO_BUFFER 4000u

static void words_write(struct malv_buffer *buffer, uint32_t salt)
{
    uint32_t *words = buffer->memory;
    for (uint32_t i = 0; i < WORDS; i++) {
        words[i] = i * 2654435761u + salt;
    }
}

static bool words_are(const struct malv_buffer *buffer, uint32_t salt)
{
    const uint32_t *words = buffer->memory;
    for (uint32_t i = 0; i < WORDS; i++) {
        if (words[i] != i * 2654435761u + salt) {
            return false;
        }
    }
    return true;
}

/* The device copies between two buffers that are this program's memory; nothing else moves. */
void check_in_place(struct smoke *s)
{
    struct malv_buffer from, to;
    struct malv_batch batch;
    SUCCEED(smoke_buffer(s, BYTES, &from), "a buffer");
    SUCCEED(smoke_buffer(s, BYTES, &to), "a second buffer");
    EXPECT(((uint32_t *)to.memory)[WORDS - 1] == 0, "a new buffer is not zero");
    for (uint32_t round = 1; round <= 3; round++) {
        words_write(&from, round);
        malv_batch_init(&batch);
        malv_batch_copy(&batch, &from, 0, &to, 0, BYTES);
        SUCCEED(smoke_run(s, 0, &batch), "a copy");
        EXPECT(words_are(&to, round), "what the device wrote is not what it was given");
    }
    SUCCEED(malv_buffer_destroy(s->device, &from), "the end of a buffer");
    SUCCEED(malv_buffer_destroy(s->device, &to), "the end of a buffer");
}

/* There and back through the device's own memory, in two submissions. */
void check_by_copy(struct smoke *s)
{
    struct malv_buffer from, to, device;
    struct malv_batch batch;
    SUCCEED(smoke_buffer(s, BYTES, &from), "a buffer");
    SUCCEED(smoke_buffer(s, BYTES, &to), "a second buffer");
    SUCCEED(malv_buffer_create(s->device, BYTES, VGPGPU_BUFFER_DEVICE, &device),
            "a buffer of the device");
    EXPECT(malv_buffer_map(s->device, &device) == -EINVAL, "the device's own memory can be mapped");
    words_write(&from, 5);
    malv_batch_init(&batch);
    malv_batch_copy(&batch, &from, 0, &device, 0, BYTES);
    SUCCEED(smoke_run(s, 1, &batch), "a copy to the device");
    memset(from.memory, 0xee, BYTES);
    malv_batch_init(&batch);
    malv_batch_copy(&batch, &device, 0, &to, 0, BYTES);
    SUCCEED(smoke_run(s, 1, &batch), "a copy back");
    EXPECT(words_are(&to, 5), "what came back is not what went there");
}

/* Odd places and sizes, larger than the pieces that it goes in; what is beside stays as it was. */
void check_transfer(struct smoke *s)
{
    static const uint32_t kinds[] = {VGPGPU_BUFFER_GUEST, VGPGPU_BUFFER_DEVICE, MALV_BUFFER_MANAGED};
    static uint8_t from[2 * BYTES + ODD], to[sizeof(from)];
    struct malv_buffer buffer;
    for (size_t i = 0; i < sizeof(from); i++) {
        from[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    for (uint32_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        SUCCEED(malv_buffer_create(s->device, sizeof(from), kinds[k], &buffer), "a buffer");
        SUCCEED(malv_write(s->device, 2, &buffer, 0, from, sizeof(from)), "a write of all of it");
        SUCCEED(malv_write(s->device, 2, &buffer, 7, from, ODD), "a write to an odd place");
        memset(to, 0, sizeof(to));
        SUCCEED(malv_read(s->device, 2, &buffer, 0, to, sizeof(to)), "a read");
        EXPECT(memcmp(to, from, 7) == 0 && memcmp(to + 7, from, ODD) == 0 &&
                   memcmp(to + 7 + ODD, from + 7 + ODD, sizeof(from) - 7 - ODD) == 0,
               "what was read is not what was written");
        SUCCEED(malv_read(s->device, 2, &buffer, sizeof(from), to, 0), "a read of nothing");
        EXPECT(malv_read(s->device, 2, &buffer, 1, to, sizeof(to)) == -ERANGE,
               "a read beyond a buffer's end is not refused");
        SUCCEED(malv_buffer_destroy(s->device, &buffer), "the end of a buffer");
    }
    EXPECT(malv_write(s->device, 64, &buffer, 0, from, 0) == -EINVAL, "a queue that is not there is taken");
}

void check_fill(struct smoke *s)
{
    static const uint8_t pattern[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct malv_buffer buffer;
    struct malv_batch batch;
    SUCCEED(smoke_buffer(s, BYTES, &buffer), "a buffer");
    const uint8_t *bytes = buffer.memory;
    for (uint32_t width = 1; width <= sizeof(pattern); width *= 2) {
        memset(buffer.memory, 0xee, BYTES);
        malv_batch_init(&batch);
        malv_batch_fill(&batch, &buffer, 1024, 8192, pattern, width);
        SUCCEED(smoke_run(s, 0, &batch), "a fill");
        for (uint32_t i = 0; i < 10240; i++) {
            uint8_t want = i < 1024 || i >= 1024 + 8192 ? 0xee : pattern[i % width];
            EXPECT(bytes[i] == want, "a byte that is not the pattern's, or outside of it");
        }
    }
}

/* Each of these must be an error, and the device must work after them. */
void check_memory_errors(struct smoke *s)
{
    const struct vgpgpu_config *config = malv_device_config(s->device);
    struct malv_buffer buffer, good, none = {.id = NO_BUFFER, .size = BYTES};
    struct malv_batch batch;
    EXPECT(malv_buffer_create(s->device, 0, VGPGPU_BUFFER_GUEST, &buffer) == -EINVAL,
           "a buffer of no bytes is not refused");
    EXPECT(malv_buffer_create(s->device, BYTES, 0, &buffer) == -EINVAL,
           "a buffer of no kind is not refused");
    EXPECT(malv_buffer_create(s->device, config->max_buffer + 1, VGPGPU_BUFFER_DEVICE, &buffer) !=
               0,
           "a buffer over the device's limit is not refused");
    EXPECT(buffer.id == 0, "a refused buffer has a number");
    SUCCEED(smoke_buffer(s, BYTES, &good), "a good buffer");
    malv_batch_init(&batch);
    EXPECT(malv_batch_copy(&batch, &good, BYTES - ODD, &good, 0, ODD + 1) == -ERANGE,
           "a copy beyond a buffer's end is not refused");
    malv_batch_free(&batch);
    malv_batch_init(&batch);
    malv_batch_copy(&batch, &none, 0, &good, 0, BYTES);
    EXPECT(smoke_run(s, 2, &batch) == -ENOENT, "a copy from no buffer is not refused");
    malv_batch_init(&batch);
    malv_batch_copy(&batch, &good, 0, &good, BYTES / 2 + 1, ODD);
    SUCCEED(smoke_run(s, 0, &batch), "a good copy after the bad ones");
}
