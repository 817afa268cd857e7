/*
 * ports.h: what the files of the suite "ports" share.
 */
#pragma once

#include <microlake/port.h>
#include "ktest.h"

void ports_join(struct thread **t, unsigned n);
struct thread *ports_thread(void (*entry)(void *), void *arg);
struct port *ports_create(void);
void ports_serve(void *arg); /* a server; arg: the port */

/* An object that counts; lives until its last reference goes. */
struct thing {
    struct object object;
};
struct object *thing_create(void);
extern uint64_t things; /* there are */

void ports_stale_handles(void);
void ports_handle_rights(void);
void ports_handle_transfer(void);
void ports_timeouts(void);
void ports_interruption(void);
void ports_peer_death(void);
void ports_nothing_leaks(void);
void ports_soak(void);
