/*
 * commands.h: what mlctl can do. Each command prints to standard output, explains failures in one
 * line on standard error, and returns the program's exit status: 0 or 1. `root` is CLASSES_ROOT but
 * in tests.
 */
#pragma once

/* A table of all classes and policies. */
int command_list(const char *root);

/* Switches a class to a policy. */
int command_set(const char *root, const char *class, const char *policy);

/* The figures of a class, or of all classes when `class` is NULL. */
int command_stats(const char *root, const char *class);
