/* sandbox.h: takes from a worker what it does not need. */
#pragma once

/*
 * Shuts the calling process in: it dies with its parent, gains no rights, leaves no core file, and
 * sees of the file system only programs, libraries and devices, plus `folder` to write in. A kernel
 * without Landlock gives all but the last. To be called before there are threads.
 */
void sandbox_enter(const char *folder);
