/*
 * format.c: see format.h.
 */
#include "lib/format/format.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Where the text goes. length counts what the whole text needs, also past the end of the buffer. */
struct output {
    char *at;
    size_t size;
    size_t length;
};

/* One conversion: "%-08.3lx". */
struct spec {
    bool left;
    bool zero;
    int width;
    int precision; /* -1: none */
    int longs;     /* number of l; z counts as one */
    char conversion;
};

static void output_char(struct output *out, char c)
{
    if (out->length + 1 < out->size)
        out->at[out->length] = c;
    out->length++;
}

static void output_repeat(struct output *out, char c, int count)
{
    for (int i = 0; i < count; i++)
        output_char(out, c);
}

/* Writes prefix and body in a field of the spec's width; zeroes go between the two. */
static void output_field(struct output *out, const struct spec *spec, const char *prefix,
                         const char *body, size_t length)
{
    size_t used = strlen(prefix) + length;
    int pad = spec->width > 0 && (size_t)spec->width > used ? spec->width - (int)used : 0;
    bool zero = spec->zero && !spec->left;

    if (!spec->left && !zero)
        output_repeat(out, ' ', pad);
    while (*prefix)
        output_char(out, *prefix++);
    if (zero)
        output_repeat(out, '0', pad);
    for (size_t i = 0; i < length; i++)
        output_char(out, body[i]);
    if (spec->left)
        output_repeat(out, ' ', pad);
}

static void output_number(struct output *out, const struct spec *spec, uint64_t value,
                          unsigned base, const char *prefix)
{
    const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value);
    output_field(out, spec, prefix, text + at, sizeof(text) - at);
}

static void output_signed(struct output *out, const struct spec *spec, int64_t value)
{
    output_number(out, spec, value < 0 ? -(uint64_t)value : (uint64_t)value, 10,
                  value < 0 ? "-" : "");
}

static void output_string(struct output *out, const struct spec *spec, const char *s)
{
    struct spec padded = *spec;

    if (!s)
        s = "(null)";
    padded.zero = false;
    output_field(out, &padded, "", s,
                 spec->precision >= 0 ? strnlen(s, (size_t)spec->precision) : strlen(s));
}

/* A width or precision: digits or "*". Capped, so that a bad format cannot run for long. */
static const char *number_decode(const char *p, int *out, va_list *args)
{
    enum { LIMIT = 4096 };
    int value = 0;

    if (*p == '*') {
        value = va_arg(*args, int);
        *out = value > LIMIT ? LIMIT : value;
        return p + 1;
    }
    for (; *p >= '0' && *p <= '9'; p++)
        value = value < LIMIT ? value * 10 + (*p - '0') : LIMIT;
    *out = value > LIMIT ? LIMIT : value;
    return p;
}

/* Decodes what follows a '%'; returns the first character behind it. */
static const char *spec_decode(const char *p, struct spec *spec, va_list *args)
{
    *spec = (struct spec){.precision = -1};
    for (; *p == '-' || *p == '0'; p++) {
        spec->left |= *p == '-';
        spec->zero |= *p == '0';
    }
    p = number_decode(p, &spec->width, args);
    if (spec->width < 0) {
        spec->left = true;
        spec->width = -spec->width;
    }
    if (*p == '.')
        p = number_decode(p + 1, &spec->precision, args);
    for (; *p == 'l' || *p == 'z'; p++)
        spec->longs++;
    spec->conversion = *p;
    return *p ? p + 1 : p;
}

static void conversion_apply(struct output *out, const struct spec *spec, va_list *args)
{
    char c;

    switch (spec->conversion) {
    case 'd':
    case 'i':
        output_signed(out, spec, spec->longs ? va_arg(*args, long) : va_arg(*args, int));
        break;
    case 'u':
    case 'x':
    case 'X':
        output_number(out, spec,
                      spec->longs ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
                      spec->conversion == 'u' ? 10 : 16, "");
        break;
    case 'p':
        output_number(out, spec, (uintptr_t)va_arg(*args, void *), 16, "0x");
        break;
    case 's':
        output_string(out, spec, va_arg(*args, const char *));
        break;
    case 'c':
        c = (char)va_arg(*args, int);
        output_field(out, &(struct spec){.left = spec->left, .width = spec->width}, "", &c, 1);
        break;
    case '%':
        output_char(out, '%');
        break;
    default:
        output_char(out, '%');
        if (spec->conversion)
            output_char(out, spec->conversion);
        break;
    }
}

int vsnprintf(char *out, size_t size, const char *format, va_list args)
{
    struct output output = {out, size, 0};
    struct spec spec;
    va_list rest;

    va_copy(rest, args);
    while (*format) {
        if (*format != '%') {
            output_char(&output, *format++);
            continue;
        }
        format = spec_decode(format + 1, &spec, &rest);
        conversion_apply(&output, &spec, &rest);
    }
    va_end(rest);
    if (size)
        out[output.length < size ? output.length : size - 1] = '\0';
    return (int)output.length;
}

int snprintf(char *out, size_t size, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(out, size, format, args);
    va_end(args);
    return length;
}
