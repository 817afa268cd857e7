/*
 * option.c: see option.h.
 */
#include "option.h"

#define SIZE_MIN  0x200u /* registers and some config space */
#define SIZE_MOST 0x10000u
#define LINES     1024u
#define BASE_END  (1ull << 52) /* physical addresses of x86-64 */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Reads a number, decimal or 0x, and moves *text behind it. False: there is none, or it is too big.
 */
static bool number_read(const char **text, uint64_t *out)
{
    const char *at = *text;
    unsigned base = 10;
    uint64_t value = 0;

    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        base = 16;
        at += 2;
    }
    if (digit_value(*at) >= (int)base)
        return false;
    for (; digit_value(*at) < (int)base; at++)
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit_value(*at), &value))
            return false;
    *text = at;
    *out = value;
    return true;
}

/* A number and an optional K or M behind it. */
static bool size_read(const char **text, uint64_t *out)
{
    unsigned shift = 0;

    if (!number_read(text, out))
        return false;
    if (**text == 'K' || **text == 'k')
        shift = 10;
    else if (**text == 'M' || **text == 'm')
        shift = 20;
    *text += shift != 0;
    return !__builtin_mul_overflow(*out, 1ull << shift, out);
}

static bool skip(const char **text, char c)
{
    if (**text != c)
        return false;
    ++*text;
    return true;
}

static const char *option_check(const struct mmio_option *o)
{
    if (o->size < SIZE_MIN || o->size > SIZE_MOST)
        return "SIZE must be 512 to 64K";
    if (o->base == 0 || o->base % 4 || o->base > BASE_END - o->size)
        return "BASE must be a physical address, a multiple of 4";
    if (o->line >= LINES)
        return "IRQ must be below 1024";
    return NULL;
}

const char *mmio_option_parse(const char *text, struct mmio_option *out)
{
    static const char form[] = "it must be SIZE@BASE:IRQ, e.g. 512@0xfeb00000:5";
    struct mmio_option o = {0};
    uint64_t line, id;

    if (!size_read(&text, &o.size) || !skip(&text, '@') || !number_read(&text, &o.base) ||
        !skip(&text, ':') || !number_read(&text, &line))
        return form;
    if (skip(&text, ':') && !number_read(&text, &id))
        return form;
    if (*text)
        return form;
    o.line = line < LINES ? (uint32_t)line : LINES;
    *out = o;
    return option_check(&o);
}
