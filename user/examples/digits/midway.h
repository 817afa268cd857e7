/*
 * midway.h: another program, run while this one is in the middle of its work.
 */
#pragma once

/*
 * Runs a command line (words separated by blanks, no quoting) and waits for its end. 0, or -1 with
 * a message on standard error when it can't be run or does not exit with status 0.
 */
int midway_run(const char *command_line);
