/*
 * tools.h: what the files of malv-info and malv-smoke share.
 */
#pragma once

#include "user/libmalv/malv.h"

#define STATUS_FAILED 1
#define STATUS_USAGE  2

/* The programs: they take main()'s arguments and return its status. */
int info_main(int argc, char **argv);
int smoke_main(int argc, char **argv);

/*
 * Opens the device `path`, the machine's first one when NULL. On an error says why on standard
 * error, `program` in front, and returns NULL.
 */
struct malv_device *tool_open(const char *program, const char *path);

/* A wrong command line: one line on standard error. Returns STATUS_USAGE. */
int tool_complain(const char *program, const char *what, const char *word);

/* Writes the configuration space of the device `path` as one JSON object. */
void info_print_json(const char *path, const struct vgpgpu_config *config);

/* enum vgpgpu_device_type in a word. */
const char *info_type_name(uint32_t type);

/* Names of the bits of a mask, by place; NULL: none. */
extern const char *const info_program_names[32]; /* of program_kinds, enum vgpgpu_program_kind */
extern const char *const info_feature_names[32]; /* of features, enum vgpgpu_device_feature */
