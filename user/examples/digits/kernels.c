/*
 * kernels.c: puts kernels.cl into the program as it stands. The path is from the project's root,
 * where every compiler run starts.
 */
#include "kernels.h"

__asm__(".pushsection .rodata\n"
        ".global digits_kernels\n"
        "digits_kernels:\n"
        ".incbin \"user/examples/digits/kernels.cl\"\n"
        ".byte 0\n"
        ".popsection\n");
