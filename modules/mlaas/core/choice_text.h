/*
 * choice_text.h: what is written to the file `choices`. Nothing of the kernel is called here.
 */
#pragma once

#include <microlake/policy.h>

#define CHOICE_PROGRAM_MAX 16u /* as a program's name in /proc/PID/comm */

struct choice {
    char class_name[POLICY_NAME_MAX];
    char policy[POLICY_NAME_MAX];     /* empty: the machine's again */
    char program[CHOICE_PROGRAM_MAX]; /* empty: it is for a process */
    int pid;                          /* 0: the writer */
};

/* "CLASS=POLICY pid=PID", "pid=self" or "name=PROGRAM"; POLICY is empty or "machine" to take a choice back.
 * A longer program name is cut, as comm is. ERR_INVALID. */
int choice_parse(const char *text, struct choice *out);
