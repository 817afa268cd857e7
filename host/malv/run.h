/*
 * run.h: one machine from start to end.
 */
#pragma once

#include "options.h"

/*
 * Starts a machine, runs the command in it and cleans up. Returns malv's exit status: the
 * command's, or one of enum malv_status after a line on standard error.
 */
int machine_run(const struct run_options *options);
