/*
 * classes.h: the policy classes of the machine, as files below places.mlaas: classes/CLASS/policy,
 * shadow, pilot, guard and stats, and the file choices (docs/mlctl.md describes them).
 *
 * Functions return 0 or a negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CLASSES_MAX        32
#define CLASS_NAME_BYTES   64
#define CLASS_MAX_POLICIES 64
#define CLASS_TEXT_BYTES   8192
#define SETTING_BYTES      256

struct class_list {
    unsigned int count;
    char names[CLASSES_MAX][CLASS_NAME_BYTES]; /* sorted */
};

struct policy_list {
    unsigned int count;
    const char *names[CLASS_MAX_POLICIES]; /* into `text`; the first is built in */
    const char *active;                    /* one of the names; NULL: none was marked */
    char text[CLASS_TEXT_BYTES];
};

/* What the owner has set of one class. */
struct class_state {
    char policy[SETTING_BYTES], shadow[SETTING_BYTES], pilot[SETTING_BYTES], guard[SETTING_BYTES];
};

/* The classes there are. -ENOENT: this is not a MaLV-OS machine. */
int classes_read(struct class_list *classes);

/* A class's policies. -ENOENT: no such class; -EPROTO: the file is not what it should be. */
int class_policies(const char *class, struct policy_list *policies);
bool class_has(const char *class, const char *policy);

/* One file of a class: "policy", "shadow", "pilot", "guard". */
int class_write(const char *class, const char *file, const char *text);

/* Reads the settings of a class; what its files do not offer reads as "none" and "off". */
int class_state_read(const char *class, struct class_state *state);

/* A class's figures, as NUL-terminated text. -ENOENT: no such class. */
int class_stats(const char *class, char text[CLASS_TEXT_BYTES]);

/* ---- With complaints ------------------------------------------------------------------------ */

bool classes_get(struct class_list *classes);
bool policies_get(const char *class, struct policy_list *policies);

/* Is it a class? If not, says which there are. */
bool class_check(const char *class);

/* Says that a class has no such policy, and which it has. */
int policy_complain(const char *class, const char *policy);
