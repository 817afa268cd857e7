/*
 * classes.h: the policy classes of the machine, as files.
 *
 * ROOT/CLASS/policy, read: one line with the class's policies, the active one in [brackets];
 * written: the name of the one to switch to. ROOT/CLASS/stats: lines of a name and a value.
 *
 * Functions return 0 or a negative errno. `root` is CLASSES_ROOT but in tests.
 */
#pragma once

#include <stddef.h>

#define CLASSES_ROOT       "/sys/kernel/mlaas/classes"
#define CLASSES_MAX        32
#define CLASS_NAME_BYTES   64
#define CLASS_MAX_POLICIES 64
#define CLASS_TEXT_BYTES   4096

struct class_list {
    unsigned int count;
    char names[CLASSES_MAX][CLASS_NAME_BYTES]; /* sorted */
};

struct policy_list {
    unsigned int count;
    const char *names[CLASS_MAX_POLICIES]; /* into `text` */
    const char *active;                    /* one of the names; NULL: none was marked */
    char text[CLASS_TEXT_BYTES];
};

/* The classes there are. -ENOENT: this is not a MaLV-OS machine. */
int classes_read(const char *root, struct class_list *classes);

/* A class's policies. -ENOENT: no such class; -EPROTO: the file is not what it should be. */
int class_policies(const char *root, const char *class, struct policy_list *policies);

/*
 * Switches a class to a policy. -ENOENT: no such class, or it has no policy of that name; other
 * errors are those of the kernel.
 */
int class_switch(const char *root, const char *class, const char *policy);

/* A class's figures, as NUL-terminated text. -ENOENT: no such class. */
int class_stats(const char *root, const char *class, char text[CLASS_TEXT_BYTES]);
