/*
 * policy_internal.h: policies, for the parts of the nucleus that call them.
 */
#pragma once

#include <microlake/policy.h>

/* The policy of that name; NULL: none (or no name). Preemption off, or the registry's lock. */
struct policy *policy_named(struct policy_class *class, const char *name);

/* The registration of that number; NULL: it has gone, or the number is 0. Preemption off. */
struct policy *policy_numbered(const struct policy_class *class, uint64_t number);

/* A policy went wrong: count it, retire it, and let its successor take over. Any context, preemption off. */
void policy_misbehaved(struct policy_class *class, struct policy *p, enum policy_fault_kind kind);
