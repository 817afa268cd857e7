/*
 * kernels.h: the text of kernels.cl, inside the program.
 */
#pragma once

extern const char digits_kernels[]; /* NUL-terminated */
