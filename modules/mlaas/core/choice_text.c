/*
 * choice_text.c: see choice_text.h.
 */
#include "modules/mlaas/core/choice_text.h"

#include <microlake/memory.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\n';
}

/* Characters up to a blank, the end or `until`. */
static size_t word_length(const char *s, char until)
{
    size_t n = 0;

    while (s[n] && !is_blank(s[n]) && s[n] != until)
        n++;
    return n;
}

static bool copy(char *out, size_t room, const char *s, size_t length)
{
    if (length >= room)
        return false;
    memcpy(out, s, length);
    out[length] = '\0';
    return true;
}

/* CLASS=POLICY; *at is moved behind it. */
static bool what_take(const char **at, struct choice *out)
{
    const char *class_name = *at, *policy;
    size_t length = word_length(class_name, '=');

    if (length == 0 || class_name[length] != '=' ||
        !copy(out->class_name, sizeof(out->class_name), class_name, length))
        return false;
    policy = class_name + length + 1;
    length = word_length(policy, '=');
    if (policy[length] == '=' || !copy(out->policy, sizeof(out->policy), policy, length))
        return false;
    if (!strcmp(out->policy, "machine"))
        out->policy[0] = '\0';
    *at = policy + length;
    return true;
}

static bool pid_take(const char **at, int *out)
{
    const char *s = *at;

    if (!strncmp(s, "self", 4)) {
        *at = s + 4;
        return true;
    }
    for (*out = 0; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *s - '0', out))
            return false;
    *at = s;
    return *out > 0;
}

static bool whom_take(const char **at, struct choice *out)
{
    const char *s = *at;
    size_t length;

    if (!strncmp(s, "pid=", 4)) {
        *at = s + 4;
        return pid_take(at, &out->pid);
    }
    if (strncmp(s, "name=", 5) != 0)
        return false;
    length = word_length(s + 5, '\0');
    *at = s + 5 + length;
    return length > 0 &&
           copy(out->program, sizeof(out->program), s + 5, MIN(length, CHOICE_PROGRAM_MAX - 1));
}

static const char *blanks_skip(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

int choice_parse(const char *text, struct choice *out)
{
    const char *at = blanks_skip(text);

    *out = (struct choice){0};
    if (!what_take(&at, out) || !is_blank(*at))
        return ERR_INVALID;
    at = blanks_skip(at);
    return whom_take(&at, out) && !*blanks_skip(at) ? OK : ERR_INVALID;
}
