/* sandbox.h: takes from a machine's processes what they do not need. */
#pragma once

/*
 * Shuts a device process in: it dies with its parent, gains no rights and has no capabilities,
 * leaves no core file, makes only the system calls it needs, starts no program but a linker, and
 * sees of the file system only programs, libraries and devices, plus `folder` to write in. A kernel
 * without Landlock gives all but the last two, with a line in the log. To be called before there
 * are threads. 0, or -1 after a line in the log.
 */
int sandbox_enter(const char *folder);
/* Shuts a front in: the same, and it sees no file at all and starts nothing. */
int sandbox_enter_front(void);
/* It has all of its threads: there will be no others. */
void sandbox_settle_front(void);
