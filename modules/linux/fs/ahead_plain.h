/*
 * ahead_plain.h: the readahead policies without a model, and what an answer may say. Pure.
 */
#pragma once

#include "modules/linux/include/linux_readahead.h"

/* 128 KiB from each miss, and as many again from the middle of what was read ahead: whatever the pattern. */
extern const struct readahead_ops ahead_fixed;

/* As Linux does with its defaults: windows that grow to 128 KiB where reads follow each other, nothing
 * where they do not, 128 KiB around a touch of a mapped page. */
extern const struct readahead_ops ahead_ondemand;

/* Ranges, sizes and use are as linux_readahead.h wants them. */
bool ahead_answer_valid(const struct readahead_answer *answer, uint64_t file_pages);
