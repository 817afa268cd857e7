/*
 * pattern_guest.c: the algorithm of module mem_readahead, the very same, compiled as a program.
 */
#include "modules/mlaas/mem_readahead/pattern.c"
