/*
 * machine.c: see machine.h.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUOTA   "/sys/kernel/malv/gpu_quota"
#define FIGURES "/sys/kernel/malv/gpu"

bool file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    bool good = file && fputs(text, file) >= 0;

    return file && fclose(file) == 0 && good;
}

bool file_print(const char *path)
{
    FILE *file = fopen(path, "r");
    char part[4096];
    size_t got;

    if (!file)
        return false;
    while ((got = fread(part, 1, sizeof(part), file)) > 0)
        fwrite(part, 1, got, stdout);
    fclose(file);
    return true;
}

void quota_set(uint64_t bytes)
{
    char text[32];

    snprintf(text, sizeof(text), "%llu\n", (unsigned long long)bytes);
    if (!file_write(QUOTA, text)) {
        perror(QUOTA);
        exit(1);
    }
}

/* The value behind `name` in a file of lines "name value"; false: there is none. */
static bool figure_find(const char *path, const char *name, uint64_t *value)
{
    FILE *file = fopen(path, "r");
    size_t length = strlen(name);
    bool found = false;
    char line[256];

    while (file && !found && fgets(line, sizeof(line), file))
        if (!strncmp(line, name, length) && line[length] == ' ') {
            *value = strtoull(line + length, NULL, 10);
            found = true;
        }
    if (file)
        fclose(file);
    return found;
}

uint64_t gpu_figure(const char *name)
{
    uint64_t value;

    if (figure_find(FIGURES, name, &value))
        return value;
    fprintf(stderr, "%s: no %s\n", FIGURES, name);
    exit(1);
}
