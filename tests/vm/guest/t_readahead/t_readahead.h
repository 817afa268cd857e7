/*
 * t_readahead.h: what the halves of this test share. The folder /data has the file "file" of bench_readahead
 * --make, and may be written to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PAGE        4096u
#define FILE_PATH   "/data/file"
#define MARK        0x9e3779b97f4a7c15ull /* page n begins with (n + 1) * MARK */

bool page_is_right(const void *page, uint64_t n);

/* Reads all of the file, or so many pages, from the front; false: a page is wrong. */
bool file_is_right(uint64_t pages);

/* policies.c */
bool policies_hostile(void);
bool policies_shadow(void);
bool policies_switching(void);
bool policies_many_streams(void);
