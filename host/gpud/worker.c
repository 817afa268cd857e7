/* worker.c: see worker.h. */
#include "worker.h"

#include <stdlib.h>
#include <unistd.h>
#include "log.h"
#include "lost.h"
#include "machine.h"
#include "sandbox.h"

_Noreturn void worker_main(int socket, const struct worker_settings *settings)
{
    static struct machine machine;
    log_machine(settings->number);
    setenv("POCL_CACHE_DIR", settings->cache, 1);
    setenv("TMPDIR", settings->cache, 1);
    lost_watch(&machine); /* which the sandbox does not allow any more */
    if (sandbox_enter(settings->cache) ||
        machine_start(&machine, socket, settings->ops, settings->selector, &settings->info,
                      settings->time_limit * 1000000000ull))
        _exit(1);
    int step;
    while ((step = vhost_session_step(&machine.session)) > 0)
        ;
    if (step < 0)
        machine_lose(&machine);
    /* The kernel takes back everything at once; ending the device's threads one by one gains
     * nothing. */
    _exit(step < 0);
}
