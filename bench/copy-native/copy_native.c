/*
 * copy_native.c: 64 MiB from the machine to the device and back.
 *
 * In guest memory: the machine writes its buffer, a kernel works on it, the machine reads it.
 * Nothing is copied on the way; the addresses that the kernel saw tell. In the device's own memory:
 * a copy each way, beside memcpy() of as much.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/native/native.h"
#include "copies.h"

#define BYTES  (64ull << 20)
#define MEMORY (512ull << 20)
#define ITEMS  64u
#define TURNS  41u

enum { SOURCE = 1, TARGET, DEVICE, SEEN };

static struct native *through;
static struct front_batch to_device, from_device, touch;
static uint8_t *source, *target, *own;

/* Each work-item adds 1 to every word of its part, and says where it lies. */
static const char text[] = "kernel void touch(global uint *data, ulong part, global ulong *seen)\n"
                           "{\n"
                           "    size_t i = get_global_id(0);\n"
                           "    global uint *mine = data + i * (part / 4);\n"
                           "    for (ulong at = 0; at < part / 4; at++)\n"
                           "        mine[at] += 1;\n"
                           "    seen[i] = (ulong)mine;\n"
                           "}\n";

static void prepare(void)
{
    const uint64_t part = BYTES / ITEMS;
    source = native_buffer(through, SOURCE, BYTES);
    target = native_buffer(through, TARGET, BYTES);
    native_check(!front_buffer_device(through->front, NATIVE_CONTEXT, DEVICE, BYTES),
                 "gpud: a buffer of the device");
    own = aligned_alloc(VGPGPU_PAGE, BYTES);
    native_check(own, "memory");
    memset(own, 1, BYTES);
    for (uint64_t i = 0; i < BYTES; i++)
        source[i] = (uint8_t)(i * 31 + i / 4096);
    batch_copy(&to_device, SOURCE, 0, DEVICE, 0, BYTES);
    batch_copy(&from_device, DEVICE, 0, TARGET, 0, BYTES);
    native_kernel(through, 1, "touch", text);
    batch_launch(&touch, 1, ITEMS, 1);
    batch_arg_buffer(&touch, SOURCE, 0);
    batch_arg_value(&touch, &part, sizeof(part));
    batch_arg_buffer(&touch, SEEN, 0);
}

static double time_of(void (*run)(void))
{
    double start = native_now_us();
    run();
    return native_now_us() - start;
}

static void write_run(void)
{
    native_run(through, &to_device, 0);
}

static void read_run(void)
{
    native_run(through, &from_device, 0);
}

static void memcpy_run(void)
{
    memcpy(own, source, BYTES);
}

static void copies_measure(void)
{
    double there[TURNS], back[TURNS], by_hand[TURNS], again[TURNS];
    write_run();
    read_run();
    memcpy_run();
    for (unsigned i = 0; i < TURNS; i++) {
        by_hand[i] = again[i] = time_of(memcpy_run);
        there[i] = time_of(write_run);
        back[i] = time_of(read_run);
    }
    native_check(memcmp(source, target, BYTES) == 0, "64 MiB there and back");
    native_row("copy_native_write_64m", "memcpy", there, by_hand, TURNS);
    native_row("copy_native_read_64m", "memcpy", back, again, TURNS);
}

/* What a kernel changes, this side sees, and the kernel was on the very pages of this side. */
static void in_place_measure(void)
{
    const uint64_t *seen = native_buffer(through, SEEN, VGPGPU_PAGE);
    const uint32_t *words = (const uint32_t *)source;
    uint64_t first = words[0], last = words[BYTES / 4 - 1];
    uint64_t part = BYTES / ITEMS, copied = 0, offset = (uint64_t)(source - through->front->memory);
    native_run(through, &touch, 0);
    native_check(words[0] == (uint32_t)first + 1 && words[BYTES / 4 - 1] == (uint32_t)last + 1,
                 "a kernel on 64 MiB in place");
    for (unsigned i = 0; i < ITEMS; i++)
        copied += copies_count(through->gpud, through->front->memory_fd, seen[i], offset + i * part,
                               part);
    printf("{\"row\": \"copy_native_in_place\", \"value\": %llu, \"unit\": \"bytes copied\", "
           "\"baseline_name\": \"of 64 MiB written and read\", \"baseline\": %llu, \"runs\": 1}\n",
           (unsigned long long)copied, (unsigned long long)BYTES * 2);
}

static void measure(struct native *n)
{
    through = n;
    prepare();
    in_place_measure();
    copies_measure();
}

int main(int argc, char **argv)
{
    return native_main(argc, argv, MEMORY, measure);
}
