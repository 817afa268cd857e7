/*
 * policy.h: malv policy and malv ps: the machines that run, as their owner sees them from the host.
 */
#pragma once

/* The words behind `malv policy`. Runs mlctl in the machine; its exit status, or MALV_FAILED. */
int policy_main(char **words);

/* The words behind `malv ps`. */
int policy_machines(char **words);
