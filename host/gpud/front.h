/*
 * front.h: the process that speaks to one machine: it owns the connection, the rings and the
 * fences, checks what the guest sends, and has a device process do it. It opens no file, starts
 * nothing and runs nothing of a guest's.
 */
#pragma once

#include "keeper.h"
#include "remote.h"

/* Serves the machine at the end of `socket` and does not return. */
_Noreturn void front_main(int socket, const struct remote_ends *ends,
                          const struct keeper_settings *settings);
