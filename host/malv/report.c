/*
 * report.c: gathers a machine's moments and figures, and prints them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "message.h"
#include "report.h"

#define MIB (1024ull * 1024)

uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void text_copy(char out[REPORT_TEXT], const char *text, size_t length)
{
    if (length > REPORT_TEXT - 1)
        length = REPORT_TEXT - 1;
    for (size_t i = 0; i < length; i++)
        out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
    out[length] = '\0';
}

bool report_has_mark(const struct report *report, const char *name)
{
    for (unsigned i = 0; i < report->mark_count; i++)
        if (!strcmp(report->marks[i].name, name))
            return true;
    return false;
}

void report_mark(struct report *report, const char *name, size_t length)
{
    char text[REPORT_TEXT];
    uint64_t now = monotonic_ns();
    text_copy(text, name, length);
    if (report_has_mark(report, text) || report->mark_count == REPORT_ENTRIES)
        return;
    memcpy(report->marks[report->mark_count].name, text, sizeof(text));
    report->marks[report->mark_count++].after_ns = now - report->start_ns;
}

void report_stat(struct report *report, const char *text, size_t length)
{
    char copy[REPORT_TEXT];
    text_copy(copy, text, length);
    char *equals = strchr(copy, '=');
    if (!equals || equals == copy)
        return;
    *equals = '\0';
    unsigned at = 0;
    while (at < report->stat_count && strcmp(report->stats[at].name, copy))
        at++;
    if (at == REPORT_ENTRIES)
        return;
    if (at == report->stat_count)
        report->stat_count++;
    memcpy(report->stats[at].name, copy, sizeof(copy));
    report->stats[at].value = report->stats[at].name + (equals - copy) + 1;
}

void report_print(const struct report *report, const struct run_options *options, int status)
{
    fflush(stdout);
    fprintf(stderr, "malv: %s, %u CPU%s, %llu MiB, GPU %s, status %d\n", options->machine,
            options->cpus, options->cpus == 1 ? "" : "s",
            (unsigned long long)(options->memory / MIB), options->gpu, status);
    for (unsigned i = 0; i < report->mark_count; i++)
        fprintf(stderr, "malv:   %-24s %10.1f ms after QEMU's start\n", report->marks[i].name,
                (double)report->marks[i].after_ns / 1e6);
    for (unsigned i = 0; i < report->stat_count; i++)
        fprintf(stderr, "malv:   %-24s %10s\n", report->stats[i].name, report->stats[i].value);
}

static void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fputc('\\', out);
        if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void json_machine(FILE *out, const struct run_options *options, int status,
                         uint64_t start_ns)
{
    fprintf(out, "{\"status\": %d, \"start_ns\": %llu, \"machine\": {\"type\": ", status,
            (unsigned long long)start_ns);
    json_string(out, options->machine);
    fprintf(out, ", \"cpus\": %u, \"memory\": %llu, \"gpu\": ", options->cpus,
            (unsigned long long)options->memory);
    json_string(out, options->gpu);
    fputs("}, \"command\": [", out);
    for (char **word = options->command; *word; word++) {
        fputs(word == options->command ? "" : ", ", out);
        json_string(out, *word);
    }
}

bool report_write(const struct report *report, const struct run_options *options, int status)
{
    FILE *out = fopen(options->stats_path, "we");
    if (!out) {
        message("can't write %s: %s", options->stats_path, strerror(errno));
        return false;
    }
    json_machine(out, options, status, report->start_ns);
    fputs("], \"marks_ms\": {", out);
    for (unsigned i = 0; i < report->mark_count; i++) {
        fputs(i ? ", " : "", out);
        json_string(out, report->marks[i].name);
        fprintf(out, ": %.3f", (double)report->marks[i].after_ns / 1e6);
    }
    fputs("}, \"stats\": {", out);
    for (unsigned i = 0; i < report->stat_count; i++) {
        fputs(i ? ", " : "", out);
        json_string(out, report->stats[i].name);
        fputs(": ", out);
        json_string(out, report->stats[i].value);
    }
    fputs("}}\n", out);
    if (!fclose(out))
        return true;
    message("can't write %s: %s", options->stats_path, strerror(errno));
    return false;
}
