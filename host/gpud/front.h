/*
 * front.h: the process that speaks to one machine: it owns the rings and the fences, obeys the
 * front end's messages, which its keeper hands on, checks what the guest sends, and has a device process do it. It opens no file, starts
 * nothing and runs nothing of a guest's.
 */
#pragma once

#include "keeper.h"
#include "remote.h"

/* Serves the machine whose messages come over `socket` and does not return. `last`: no other follows it. */
_Noreturn void front_main(int socket, const struct remote_ends *ends,
                          const struct keeper_settings *settings, bool last);
