/*
 * verbs.c: the table of verbs: finds the one that the words name and lets it run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verb.h"

static const struct verb *const verbs[] = {
    &verb_list,  &verb_load,  &verb_unload, &verb_set,     &verb_shadow, &verb_guard,
    &verb_pilot, &verb_stats, &verb_watch,  &verb_profile, &verb_run,
    &verb_model, &verb_record,
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

int complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("mlctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return STATUS_FAILED;
}

int complain_usage(const struct verb *verb, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("mlctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "; see 'mlctl %s%s--help'\n", verb ? verb->name : "", verb ? " " : "");
    va_end(arguments);
    return STATUS_USAGE;
}

bool words_split(int count, char **words, const char **class, const char **policy)
{
    char *sign = count > 0 ? strchr(words[0], '=') : NULL;
    if (count == 1 && sign != NULL) {
        *sign = '\0';
        *policy = sign + 1;
    } else if (count == 2 && sign == NULL) {
        *policy = words[1];
    } else {
        return false;
    }
    *class = words[0];
    return (*class)[0] != '\0' && (*policy)[0] != '\0';
}

static void usage_print(const struct verb *verb, const char *first)
{
    for (const char *line = verb->usage; *line != '\0';) {
        int length = (int)strcspn(line, "\n");
        printf("%smlctl %.*s\n", first, length, line);
        line += length + (line[length] == '\n');
        first = "       ";
    }
}

static int help_print(void)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        usage_print(verbs[i], i == 0 ? "usage: " : "       ");
    }
    putchar('\n');
    for (size_t i = 0; i < VERB_COUNT; i++) {
        printf("%-8s %s\n", verbs[i]->name, verbs[i]->summary);
    }
    fputs("\n'mlctl VERB --help' says more of each.\n"
          "Exit status: 0, 1 when something failed, 2 for a wrong command line; of run: the "
          "command's.\n",
          stdout);
    return STATUS_OK;
}

static int verb_help_print(const struct verb *verb)
{
    usage_print(verb, "usage: ");
    printf("\n%s\n%s", verb->summary, verb->help);
    return STATUS_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* Somewhere among the words; what a command is started with is its own. */
static bool asks_help(const struct verb *verb, int count, char **words)
{
    for (int i = 0; i < count && strcmp(words[i], "--") != 0 && (verb != &verb_run || i == 0); i++) {
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int verb_run_words(const struct verb *verb, int count, char **words)
{
    if (asks_help(verb, count, words)) {
        return verb_help_print(verb);
    }
    int status = verb->run(count, words);
    if (fflush(stdout) != 0 && status == STATUS_OK) {
        return complain("can't write what was asked for");
    }
    return status;
}

static const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

int mlctl(int argc, char **argv)
{
    if (argc < 2) {
        return complain_usage(NULL, "say what to do");
    }
    const struct verb *verb = verb_find(argv[1]);
    if (verb != NULL) {
        return verb_run_words(verb, argc - 2, argv + 2);
    }
    if (is_help(argv[1])) {
        verb = argc == 3 ? verb_find(argv[2]) : NULL;
        return verb != NULL ? verb_help_print(verb) : help_print();
    }
    return complain_usage(NULL, "there is no such command as '%s'", argv[1]);
}
