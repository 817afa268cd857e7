/*
 * readers_guest.c: the orders of bench_readahead's readers, the very same, compiled as a program.
 */
#include "user/bench-readahead/patterns.c"
