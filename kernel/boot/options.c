/*
 * options.c: the command line: "name=value ..." and, behind " -- ", the command to run.
 */
#include <arch/arch.h>
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "boot_internal.h"

#define COMMAND_LINE_MAX 4096
#define OPTIONS_MAX      64

static char text[COMMAND_LINE_MAX];
static char *options[OPTIONS_MAX];
static unsigned option_count;
static const char *command = "";

void boot_options_init(void)
{
    char *p = text;

    if (!boot_info.command_line)
        return;
    if (strlcpy(text, boot_info.command_line, sizeof(text)) >= sizeof(text))
        panic("the command line is longer than %u bytes", COMMAND_LINE_MAX - 1);
    while (*p) {
        while (*p == ' ')
            *p++ = '\0';
        if (p[0] == '-' && p[1] == '-' && (p[2] == ' ' || !p[2])) {
            command = p[2] ? p + 3 : p + 2;
            return;
        }
        if (*p && option_count == OPTIONS_MAX)
            panic("the command line has more than %u options", OPTIONS_MAX);
        if (*p)
            options[option_count++] = p;
        while (*p && *p != ' ')
            p++;
    }
}

const char *boot_option(const char *name, unsigned nth)
{
    size_t length = strlen(name);

    for (unsigned i = 0; i < option_count; i++) {
        const char *o = options[i];

        if (strncmp(o, name, length) || (o[length] && o[length] != '='))
            continue;
        if (nth-- == 0)
            return o[length] ? o + length + 1 : o + length;
    }
    return NULL;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

uint64_t boot_option_number(const char *name, uint64_t fallback)
{
    const char *s = boot_option(name, 0);
    unsigned base = 10;
    uint64_t value = 0;

    if (!s)
        return fallback;
    if (s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
    }
    if (!*s)
        return fallback;
    for (; *s; s++) {
        unsigned digit = (unsigned)digit_value(*s);

        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return fallback;
        value = value * base + digit;
    }
    return value;
}

const char *boot_command(void)
{
    return command;
}
