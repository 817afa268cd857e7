/*
 * profile_file.h: profiles, text files of places.profiles. A line is empty, a comment (#), or
 *
 *     description TEXT
 *     load NAME              a module that is to be there
 *     CLASS=POLICY
 *     shadow CLASS=POLICY    of a class that has a line CLASS=POLICY before
 *     pilot CLASS=NAME       likewise
 *     guard CLASS WORDS      likewise
 *     knowledge FILE         for its pilots: what 'mlctl pilot save' wrote
 *
 * A class that is named has no shadow, pilot or guard but those of the file; others are left alone.
 */
#pragma once

#include "classes.h"

#define PROFILE_CLASSES 16
#define PROFILE_LOADS   16

struct profile {
    char name[CLASS_NAME_BYTES];
    char description[SETTING_BYTES];
    char knowledge[SETTING_BYTES]; /* a path; empty: none */
    unsigned load_count;
    char loads[PROFILE_LOADS][CLASS_NAME_BYTES];
    unsigned count;
    struct {
        char class[CLASS_NAME_BYTES];
        struct class_state state;
    } classes[PROFILE_CLASSES];
};

/* Reads one. On an error says so, with file and line. */
bool profile_read(const char *name, struct profile *profile);

/* The names of all folders, each once, sorted. */
struct profile_names {
    unsigned count;
    char names[64][CLASS_NAME_BYTES];
};
void profile_names(struct profile_names *out);

/* From text; `where` names it in complaints. */
bool profile_parse(const char *where, char *text, struct profile *profile);
