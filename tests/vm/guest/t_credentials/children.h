/*
 * children.h: tests that give rights away run in children, which say with their exit status what
 * went wrong.
 */
#pragma once

#include <stdbool.h>

/* The line of a REQUIRE() that did not hold in the child; 0: all did; -1: it ended otherwise. */
int in_child(void (*run)(void));

/* In a child: ends it when the condition does not hold. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            require_failed(#condition, __LINE__);                                                  \
    } while (0)

/* The call fails with that errno. */
#define REQUIRE_ERRNO(call, number)                                                                \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((long)(call) != -1 || errno != (number))                                               \
            require_failed(#call " must fail with " #number, __LINE__);                            \
    } while (0)

void require_failed(const char *what, int line) __attribute__((noreturn));

/* A folder in /tmp that the test may fill; its path stays valid. */
const char *scratch(void);

/* files.c */
void child_permissions(void);
void child_folders(void);
void child_sticky(void);
void child_owners(void);
void child_access(void);
void child_set_group(void);
void child_search(void);
void child_sockets(void);
void child_proc(void);
