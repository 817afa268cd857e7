/*
 * knowledge.h: what the pilots of the machine's classes have learned, as a file: a line "class NAME" and below
 * it the lines of that class's file `knowledge`, which the kernel gives and takes one by one.
 */
#pragma once

#include <stdbool.h>

/* PATH may be "-": standard output, standard input. They return an exit status, and complain. */
int knowledge_save(const char *path);
int knowledge_load(const char *path);
