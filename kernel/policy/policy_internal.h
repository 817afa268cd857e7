/*
 * policy_internal.h: policy classes, for the parts of the nucleus that own one.
 */
#pragma once

#include <microlake/policy.h>

struct policy_class {
    const char *name;
    bool (*valid)(const void *ops);       /* is this table complete and of this version? */
    void (*activate)(struct policy *p);   /* p is active now: on return nobody is inside another */
    struct list policies;                 /* guarded by the registry's lock */
    struct policy *active;                /* atomic */
    uint64_t switches; /* atomic; changes right after `active` does */
    struct policy *builtin;
};

/* Adds a class with its built-in default, which becomes active. Start-up only. */
void policy_class_add(struct policy_class *class, struct policy *builtin);

/* A policy went wrong: count it, retire it, and let the default take over. Any context. */
void policy_misbehaved(struct policy_class *class, struct policy *p, enum policy_fault_kind kind);
