/*
 * option.h: the command line option that names a virtio-mmio device, as Linux spells it:
 * SIZE@BASE:IRQ, or SIZE@BASE:IRQ:ID. Pure code; any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mmio_option {
    uint64_t size; /* bytes; "512" or "4K" */
    uint64_t base; /* physical address */
    uint32_t line; /* interrupt line */
};

/* NULL: *out is filled. Else what is wrong with the text, for a message to a person. */
const char *mmio_option_parse(const char *text, struct mmio_option *out);
