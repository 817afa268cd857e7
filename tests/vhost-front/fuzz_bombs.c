/*
 * fuzz_bombs.c: see fuzz.h. Programs that no compiler gets to the end of, or that take it with them: each is an
 * error in its time, and the next device process works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

#define LONG_TEXT 400000u /* bytes, within what a request may have */

unsigned bombs_seen, bombs_lost;

/* Loops that are written out. */
static const char unrolling[] =
    "kernel void bomb(global volatile int *x) {\n"
    "__attribute__((opencl_unroll_hint(4096))) for (int i = 0; i < 4096; i++)\n"
    "__attribute__((opencl_unroll_hint(4096))) for (int j = 0; j < 4096; j++)\n"
    "__attribute__((opencl_unroll_hint(4096))) for (int k = 0; k < 4096; k++) x[i ^ j] += x[k] + x[j]; }\n";

/* A table that is small, but not to the compiler: 14 GiB, were there no limit. One as large as memory, and one larger
 * than an address. */
static const char ranges[] = "constant int t[1u << 28] = {[0 ... (1u << 28) - 1] = 7};\n"
                             "kernel void bomb(global int *x) { x[0] = t[x[1]]; }\n";
static const char table[] = "constant int t[1u << 28] = {1, 2, 3};\n"
                            "kernel void bomb(global int *x) { x[0] = t[x[1]]; }\n";
static const char endless_table[] = "constant char t[1ul << 62] = {1};\n"
                                    "kernel void bomb(global int *x) { x[0] = t[x[1]]; }\n";

/* `piece` over and over, between a beginning and an end. */
static char *text_repeat(const char *begin, const char *piece, const char *end)
{
    char *text = malloc(LONG_TEXT + 1), *at = text;
    size_t step = strlen(piece);
    assert_non_null(text);
    at += sprintf(at, "%s", begin);
    while ((size_t)(at - text) + step + strlen(end) < LONG_TEXT) {
        memcpy(at, piece, step);
        at += step;
    }
    strcpy(at, end);
    return text;
}

static char *text_make(unsigned which)
{
    static const char head[] = "kernel void bomb(global int *x) { x[0] = ";
    switch (which) {
    case 0:
        return strdup(rig_bomb);
    case 1:
        return strdup(unrolling);
    case 2:
        return strdup(table);
    case 3:
        return strdup(endless_table);
    case 4: /* as deep as a text is long */
        return text_repeat(head, "-~", "x[1]; }\n");
    case 5:
        return text_repeat(head, "x[1]+", "x[2]; }\n");
    case 6:
        return text_repeat(head, "(", "x[1]; }\n");
    case 7:
        return strdup(ranges);
    default:
        return text_repeat("typedef int ", "*", "deep;\nkernel void bomb(global int *x) { deep d = 0; x[0] = (int)d; }\n");
    }
}

#define BOMBS 9u

void bomb_step(void)
{
    unsigned gone = rig_log_count("the device process is gone"), which = bombs_seen++ % BOMBS;
    char *text = text_make(which);
    double begun = rig_seconds();
    uint32_t status = front_program(fuzz.rig.front, FUZZ_HOME, 2, text, NULL, 0);
    print_message("bomb %u: status %u after %.1f s\n", which, status, rig_seconds() - begun);
    free(text);
    if (which == 0) /* one of its two limits, of time and of memory, ends it: which one, is the host's */
        assert_true(status == VGPGPU_ERR_TIMEOUT || status == VGPGPU_ERR_LOST);
    assert_true(status == VGPGPU_OK || status == VGPGPU_ERR_BUILD || status == VGPGPU_ERR_NO_MEMORY ||
                status == VGPGPU_ERR_LOST || status == VGPGPU_ERR_TIMEOUT);
    machine_start_over();
    bombs_lost += rig_log_count("the device process is gone") - gone;
}
