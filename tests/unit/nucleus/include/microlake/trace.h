/*
 * trace.h: the nucleus's own, but counting goes to this_cpu() and not by way of GS.
 */
#pragma once

#include "kernel/include/microlake/trace.h"

void counter_add(const struct counter *counter, uint64_t n);

#undef COUNT
#define COUNT(name_, n) counter_add(&counter_##name_, (n))
