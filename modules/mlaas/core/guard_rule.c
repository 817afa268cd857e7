/*
 * guard_rule.c: see guard_rule.h.
 */
#include "modules/mlaas/core/guard_rule.h"

#include <microlake/log.h>
#include <microlake/memory.h>

#define THOUSAND 1000u

/* ---- Rules as text ----------------------------------------------------------------------------- */

/* The number at *at, which is moved behind it. */
static bool number_take(const char **at, uint64_t *out)
{
    const char *s = *at;

    *out = 0;
    while (*s >= '0' && *s <= '9')
        if (__builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*s++ - '0'), out))
            return false;
    if (s == *at)
        return false;
    *at = s;
    return true;
}

static bool limit_take(struct guard_rule *rule, enum guard_kind kind, uint64_t value)
{
    if (rule->kind != GUARD_OFF)
        return false;
    rule->kind = kind;
    rule->limit = value;
    return true;
}

static bool setting_take(struct guard_rule *rule, const char *name, size_t length, uint64_t value)
{
    if (length == 3 && !strncmp(name, "max", 3))
        return limit_take(rule, GUARD_MAX, value);
    if (length == 5 && !strncmp(name, "ratio", 5))
        return value > 0 && limit_take(rule, GUARD_RATIO, value);
    if (length == 7 && !strncmp(name, "windows", 7)) {
        rule->windows = (unsigned)value;
        return value > 0 && value <= GUARD_WINDOWS_MAX;
    }
    if (length == 9 && !strncmp(name, "window_ms", 9)) {
        rule->window_ms = (unsigned)value;
        return value >= GUARD_WINDOW_MS_MIN && value <= GUARD_WINDOW_MS_MAX;
    }
    return false;
}

static const char *blanks_skip(const char *at)
{
    while (*at == ' ' || *at == '\n')
        at++;
    return at;
}

int guard_rule_parse(const char *text, struct guard_rule *out)
{
    struct guard_rule rule = {.windows = GUARD_WINDOWS, .window_ms = GUARD_WINDOW_MS};
    const char *at = blanks_skip(text);

    if (!strncmp(at, "off", 3) && !*blanks_skip(at + 3)) {
        *out = rule;
        return OK;
    }
    while (*at) {
        const char *name = at, *equals = strchr(at, '=');
        uint64_t value;

        if (!equals)
            return ERR_INVALID;
        at = equals + 1;
        if (!number_take(&at, &value) || (*at && *at != ' ' && *at != '\n') ||
            !setting_take(&rule, name, (size_t)(equals - name), value))
            return ERR_INVALID;
        at = blanks_skip(at);
    }
    if (rule.kind == GUARD_OFF)
        return ERR_INVALID;
    *out = rule;
    return OK;
}

void guard_rule_text(const struct guard_rule *rule, char out[GUARD_RULE_MAX])
{
    if (rule->kind == GUARD_OFF)
        memcpy(out, "off", sizeof("off"));
    else
        snprintf(out, GUARD_RULE_MAX, "%s=%lu windows=%u window_ms=%u",
                 rule->kind == GUARD_MAX ? "max" : "ratio", rule->limit, rule->windows, rule->window_ms);
}

/* ---- Windows ----------------------------------------------------------------------------------- */

static uint64_t scale(uint64_t value, uint64_t by)
{
    uint64_t product;

    return __builtin_mul_overflow(value, by, &product) ? UINT64_MAX : product;
}

/* work is not 0. */
static uint64_t mean_of(uint64_t cost, uint64_t work)
{
    return cost > UINT64_MAX / THOUSAND ? scale(cost / work, THOUSAND) : cost * THOUSAND / work;
}

/* What a policy measures changes with what the machine does: the later windows count more. */
static void known_note(struct guard_watch *w, uint64_t number, uint64_t mean)
{
    for (unsigned i = 0; i < GUARD_KNOWN_MAX; i++)
        if (w->known[i].number == number) {
            uint64_t old = w->known[i].mean;

            w->known[i].mean = old - old / 4 + mean / 4;
            return;
        }
    w->known[w->known_next].number = number;
    w->known[w->known_next].mean = mean;
    w->known_next = (w->known_next + 1) % GUARD_KNOWN_MAX;
}

/* What the one that would take over measured: lately, or in all. */
static bool base_mean(const struct guard_watch *w, const struct guard_sample *s, uint64_t *out)
{
    for (unsigned i = 0; i < GUARD_KNOWN_MAX; i++)
        if (w->known[i].number && w->known[i].number == s->base_number) {
            *out = w->known[i].mean;
            return true;
        }
    if (s->base_work)
        *out = mean_of(s->base_cost, s->base_work);
    return s->base_work != 0;
}

static bool limit_find(const struct guard_rule *rule, struct guard_watch *w, const struct guard_sample *s)
{
    uint64_t base = 0;

    if (s->alone)
        return false;
    if (rule->kind == GUARD_MAX) {
        w->limit = scale(rule->limit, THOUSAND);
        return true;
    }
    if (!base_mean(w, s, &base))
        return false;
    w->limit = base > UINT64_MAX / rule->limit ? scale(base / 100, rule->limit) : base * rule->limit / 100;
    return true;
}

static void window_begin(struct guard_watch *w, const struct guard_sample *s)
{
    w->number = s->number;
    w->cost = s->cost;
    w->work = s->work;
}

bool guard_window(const struct guard_rule *rule, struct guard_watch *w, const struct guard_sample *s)
{
    if (w->number != s->number || s->work < w->work || s->cost < w->cost) {
        window_begin(w, s);
        w->bad = 0;
        w->measured = w->limited = false;
        return false;
    }
    if (s->work == w->work)
        return false;
    w->mean = mean_of(s->cost - w->cost, s->work - w->work);
    w->measured = true;
    window_begin(w, s);
    known_note(w, s->number, w->mean);
    w->limited = limit_find(rule, w, s);
    w->bad = w->limited && w->mean > w->limit ? w->bad + 1 : 0;
    return w->bad >= rule->windows;
}
