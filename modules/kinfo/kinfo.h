/*
 * kinfo.h: what the files of module kinfo share. The module shows what the kernel knows of itself
 * below /sys/kernel/malv:
 *
 *   log       the log ring, as it is now
 *   counters  "name value" a line, summed over the CPUs
 *   threads   "id cpu state ms switches name" a line, below a heading
 *   gpu       "name value" a line: what is alive on the GPU, and what there was since the start
 *   gpu_quota bytes of managed buffers that may lie on the GPU; write another number
 *   trace     write names of tracepoints to switch on, "all", or an empty line for none; read: the
 *             points there are as "# name on|off format", then what happened since the last read
 */
#pragma once

#include <microlake/types.h>

long log_show(void *context, char *out, size_t size);
long counters_show(void *context, char *out, size_t size);
long threads_show(void *context, char *out, size_t size);
long gpu_show(void *context, char *out, size_t size);
long gpu_quota_show(void *context, char *out, size_t size);
int gpu_quota_store(void *context, const char *text, size_t size);
long trace_show(void *context, char *out, size_t size);
int trace_store(void *context, const char *text, size_t size);
