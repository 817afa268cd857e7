/*
 * seal.h: the seal behind a program's binary that goes out to a guest. A driver's loader was not made for
 * hostile bytes (PoCL's reads beyond a binary that was cut short), so gpud loads only what it has given out
 * itself: the seal is a keyed hash, the key is this gpud's, and no process that runs a guest's code has it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_BYTES 32u

/* For the broker, before it starts any process. 0, or -1: there is no randomness to be had. */
int seal_key_make(void);
/* For a process that will run a guest's code. */
void seal_key_forget(void);

/* Any thread. */
void seal_make(const void *bytes, size_t count, uint8_t seal[SEAL_BYTES]);
/* Whether the last SEAL_BYTES of `count` are the seal of those before, of which there is one at least. */
bool seal_is_good(const void *bytes, size_t count);
