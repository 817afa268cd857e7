/*
 * evict_host.c: the algorithm of module gpu_evict, the very same, compiled for the build machine.
 */
#include "modules/mlaas/gpu_evict/evict.c"
