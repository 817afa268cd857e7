/*
 * lab.h: the class "lab": each decision is a number that the owner of the class judges and charges. What a
 * policy answers is known beforehand, so a test knows what the figures have to be.
 *
 *   /sys/kernel/malv/lab   read: one decision, for the reader; the name of the policy that took it
 *                          write N: so many decisions, for the writer, and the shadow is asked, too
 */
#pragma once

#include <microlake/policy.h>

#define LAB_COSTS_MAX 1000u /* an answer is a cost below that; more is nonsense. Even ones are right */

struct lab_ops {
    size_t struct_size;
    unsigned (*cost)(unsigned nth);
};

extern struct policy lab_plain; /* costs 10, right */

int lab_policies_register(void);
