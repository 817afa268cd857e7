/*
 * exec.h: from a file to a process's new memory.
 *
 * exec_prepare() does everything that can fail; what it gives is put into a process by exec.c's
 * execve() or, for the first program, by main.c.
 */
#pragma once

#include <microlake/types.h>

#include "lib/elf/elf.h"
#include "modules/linux/abi/process.h"
#include "modules/linux/process/credentials.h"

struct mm;
struct node;

/* The strings a program is started with: arguments, then environment, each with its NUL. */
struct exec_strings {
    char *text;
    size_t used, room;
    unsigned arguments, environment;
};

#define EXEC_STRINGS_MAX (1u << 20) /* bytes of arguments and environment together */

int exec_strings_create(struct exec_strings *s);
void exec_strings_free(struct exec_strings *s);

/* Adds one string (size bytes without NUL) behind the others. E2BIG. */
int exec_strings_add(struct exec_strings *s, const char *text, size_t size);

/* Puts one string before the others, as the first argument. E2BIG. */
int exec_strings_prepend(struct exec_strings *s, const char *text, size_t size);

/* Takes the first argument away; there is one. */
void exec_strings_drop_first(struct exec_strings *s);

/* A program in memory, ready to start. */
struct exec_program {
    struct mm *mm; /* a reference */
    vaddr_t entry;
    vaddr_t stack_pointer;
    char name[LINUX_TASK_NAME_MAX];
    /* In: whose process it will be; out: what that has then. `more` is borrowed. */
    struct credentials credentials;
    uint64_t stack_limit; /* in: RLIMIT_STACK */
    bool secure; /* it must not trust its caller */
};

/*
 * Loads the file and its interpreters. path: as the program shall see it (AT_EXECFN). strings may
 * change when the file is a script. LINUX_ERRNO(EACCES), ERR_BAD_FORMAT: not a program, or a
 * corrupt one; ERR_NOT_FOUND: its interpreter is not there; ERR_NO_MEMORY, E2BIG.
 */
int exec_prepare(struct node *file, const char *path, struct exec_strings *strings,
                 struct exec_program *out);

/* elf_load.c: maps a program's segments. */
struct elf_place {
    struct elf_image image;
    vaddr_t bias; /* what was added to the file's addresses */
};

/* Reads and checks the headers. ERR_BAD_FORMAT with a reason in the log at debug level. */
int elf_read_image(struct node *file, struct elf_image *out);

/* Maps the image; a program (interpreter false) also gets the place of its heap set. */
int elf_map_image(struct mm *mm, struct node *file, const struct elf_image *image, bool interpreter,
                  vaddr_t *bias);

/* stack.c: the first stack: strings, auxiliary vector, pointers. */
struct stack_facts {
    const struct exec_strings *strings;
    const char *path;
    const struct elf_image *image;
    vaddr_t bias;        /* of the program */
    vaddr_t interpreter; /* base of the interpreter; 0: none */
    const struct credentials *credentials;
    bool secure;
    uint64_t stack_limit; /* bytes */
};
int stack_build(struct mm *mm, const struct stack_facts *facts, vaddr_t *stack_pointer);
