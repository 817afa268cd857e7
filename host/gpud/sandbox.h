/* sandbox.h: takes from a machine's processes what they do not need. */
#pragma once

#include <sys/types.h>

/* Whose code runs in a device process, beside gpud's own. */
enum sandbox_kind {
    SANDBOX_KERNELS, /* a guest's kernels, as machine code (PoCL): a call that is not expected ends the process */
    SANDBOX_DRIVER,  /* a GPU's driver, whose calls nobody lists (NVIDIA's, above all): such a call is refused */
};

/*
 * Shuts a device process in: it is `user`'s (user.h), dies with its parent, gains no rights and has no capabilities,
 * leaves no core file, makes only the system calls it needs, starts no program but a linker, and
 * sees of the file system only programs, libraries and devices, plus `folder` to write in. A kernel
 * without Landlock gives all but the last two, with a line in the log. To be called before there
 * are threads. 0, or -1 after a line in the log.
 *
 * GPUD_SANDBOX in the environment leaves away what it names, "files", "calls", "users" or "none" of them, and says so in the
 * log: to find out what a driver that does not start would need. "strict" has a call that is not expected end the
 * process with SANDBOX_DRIVER too, so that the log names it.
 */
int sandbox_enter(enum sandbox_kind kind, const char *folder, uid_t user);
/* Shuts a front in: the same, and it sees no file at all and starts nothing. */
int sandbox_enter_front(uid_t user);
/* It has all of its threads: there will be no others. */
void sandbox_settle_front(void);
