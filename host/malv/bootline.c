/*
 * bootline.c: writes the guest's kernel command line.
 */
#include <string.h>

#include "bootline.h"

struct line {
    char *text;
    size_t used;
    size_t size;
    bool full;
};

static void line_add(struct line *line, char c)
{
    if (line->used + 1 >= line->size) {
        line->full = true;
        return;
    }
    line->text[line->used++] = c;
}

static void line_add_text(struct line *line, const char *text)
{
    while (*text)
        line_add(line, *text++);
}

static bool needs_escape(unsigned char c)
{
    return c <= ' ' || c == 0x7f || c == '%' || c == '"' || c == '\\';
}

static void line_add_word(struct line *line, const char *word)
{
    static const char digits[] = "0123456789ABCDEF";
    if (!*word)
        line_add_text(line, "%00");
    for (; *word; word++) {
        unsigned char c = (unsigned char)*word;
        if (!needs_escape(c)) {
            line_add(line, (char)c);
            continue;
        }
        line_add(line, '%');
        line_add(line, digits[c >> 4]);
        line_add(line, digits[c & 15]);
    }
}

bool bootline_add_option(char *out, size_t size, const char *name, const char *value)
{
    struct line line = {.text = out, .used = strlen(out), .size = size};
    line_add(&line, ' ');
    line_add_text(&line, name);
    line_add(&line, '=');
    line_add_word(&line, value);
    line.text[line.used] = '\0';
    return !line.full;
}

bool bootline_write(char *out, size_t size, const char *options, char *const *command)
{
    struct line line = {.text = out, .size = size};
    line_add_text(&line, options);
    line_add_text(&line, " --");
    for (; *command; command++) {
        line_add(&line, ' ');
        line_add_word(&line, *command);
    }
    line.text[line.used] = '\0';
    return !line.full;
}
