/*
 * tree.h: a folder in the place of a machine's files: two classes, modules, profiles. What mlctl writes
 * to the kernel's files, and its calls that load modules, are answered as the kernel answers them.
 */
#pragma once

#include <stdbool.h>

extern char tree_choice[256];     /* what was written to choices last */
extern char tree_program[256];    /* what was executed last */
extern const char *tree_refused;  /* a file of a class, "guard" say, that takes nothing; NULL: none */
extern int tree_error;            /* with this errno */

void tree_make(void);
void tree_remove(void);
void file_make(const char *name, const char *text); /* a path in the tree */

const char *file_path(const char *name);            /* from where the test runs */
const char *file_text(const char *name);

/* The first line of a file of the tree. */
const char *line_of(const char *name);
