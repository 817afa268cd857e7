/*
 * lab.h: what the parts of t_mlaas share: files below /sys, and asking the class "lab" of the module
 * mlaas_lab (tests/mlaas_lab/lab.h).
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#define MLAAS   "/sys/kernel/mlaas/"
#define LAB     MLAAS "classes/lab/"
#define CHOICES MLAAS "choices"
#define ASK     "/sys/kernel/malv/lab"

/* A file's whole text, until the next call; NULL: errno. */
const char *file_text(const char *path);

/* Its text is exactly this. */
bool file_is(const char *path, const char *text);
bool file_has(const char *path, const char *part);

/* 0, or the errno of open() or write(). */
int file_put(const char *path, const char *text);

/* The number behind "NAME " in the class's stats; -1: there is no such line. */
long stat_of(const char *name);
bool stat_is(const char *name, const char *value);

/* One decision for the caller is taken by this policy. */
bool decided_by(const char *policy);

/* In a function of these tests: false, with where and what, if it doesn't hold. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);               \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

/* choices.c: the tests of choices for single programs. */
bool choice_of_process(void);
bool choice_tree(void);
bool choice_threads(void);
bool choice_rights(void);
bool choice_by_name(void);
bool choices_at_once(void);
bool choice_errors(void);

/* modules.c: the tests of modules that are loaded and unloaded. */
bool module_comes_and_goes(void);
bool module_damaged(void);
bool module_bad_calls(void);
bool module_rights(void);
bool module_of_policy(void);

/* As "t_mlaas who POLICY": 0 if that one decides. */
int who_main(const char *policy);
