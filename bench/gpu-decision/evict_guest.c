/*
 * evict_guest.c: the algorithm of module gpu_evict, the very same, compiled as a program.
 */
#include "modules/mlaas/gpu_evict/evict.c"
