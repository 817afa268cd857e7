/* fragile.c: faults in gpud's front that no known request of a real one reaches: see fragile.h. The linker puts
 * these functions before gpud's own. */
#include <stdlib.h>
#include <string.h>
#include "fragile.h"
#include "host/gpud/control.h"

#define FRAGILE(name)                                 \
    uint32_t __real_##name(struct control_call *call); \
    uint32_t __wrap_##name(struct control_call *call); \
    uint32_t __wrap_##name(struct control_call *call)  \
    {                                                  \
        request_look(call);                            \
        return __real_##name(call);                    \
    }

static void request_look(const struct control_call *call)
{
    struct vgpgpu_request header;
    memcpy(&header, call->request, sizeof(header));
    if (header.object == FRAGILE_OBJECT)
        abort();
}

FRAGILE(control_context_create)
FRAGILE(control_context_destroy)
FRAGILE(control_buffer_create)

bool __real_chain_read(const struct chain *chain, uint64_t offset, void *target, uint64_t length);
bool __wrap_chain_read(const struct chain *chain, uint64_t offset, void *target, uint64_t length);
bool __wrap_chain_read(const struct chain *chain, uint64_t offset, void *target, uint64_t length)
{
    uint32_t first;
    bool read = __real_chain_read(chain, offset, target, length);
    if (!read || offset || length < sizeof(first))
        return read;
    memcpy(&first, target, sizeof(first));
    if (first == FRAGILE_READ)
        abort();
    return read;
}
