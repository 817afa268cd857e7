/*
 * proc_process.h: the folders of processes in /proc.
 */
#pragma once

/* Makes /proc itself, whose lookup knows "self" and the numbers. */
int proc_process_init(void);
