/*
 * model.h: the model behind burst_predict().
 */
#pragma once

#include <microlake/types.h>

/* Takes a model file in, 8-aligned, there for as long as predictions are made. Not while they are.
 * False: it is none, or another shape; *why says so. */
bool model_open(const void *bytes, size_t size, const char **why);
