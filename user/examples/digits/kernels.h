/*
 * kernels.h: the text of kernels.cl, inside the program.
 */
#pragma once

extern const char digits_kernels[];     /* first byte */
extern const char digits_kernels_end[]; /* a NUL after the last one */
