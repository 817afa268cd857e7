/*
 * user.h: whom a machine's processes run as. Where gpud is root's, a machine's front and its device processes
 * are of two users that nobody else is while its keeper lives: their numbers are far from those that systems give
 * out, and have the keeper's in them. In a container without such numbers they are nobody's. Where gpud is not root's,
 * or root may not (no CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_KILL or CAP_DAC_OVERRIDE), all are gpud's own user's.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Of device processes, and of the front, of this keeper. */
uid_t user_of_devices(pid_t keeper);
uid_t user_of_front(pid_t keeper);
/* For all machines' device processes, where they share a folder that is nobody's yet. */
uid_t user_of_sharers(void);

/* Whether a folder of that owner's is a machine's, or this user's own. */
bool user_is_ours(uid_t owner);

/*
 * Becomes that user, unless this process is it already, in no group but his own and, with `gpus`, those that the
 * host's GPUs are open to. 0, or -1 after a line in the log.
 */
int user_become(uid_t user, bool gpus);
