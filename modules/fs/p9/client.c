/*
 * client.c: see client.h.
 */
#include "client.h"

#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/linux/include/linux_fs.h"

#define VERSION     "9P2000.L"
#define MESSAGE_MIN (CLIENT_PAYLOAD + P9_IO_OVERHEAD)
#define PERIOD_NS   (100 * NS_PER_MS)

/* The tag of a request to forget one. */
#define FLUSH_TAG(tag) ((uint16_t)((tag) + CLIENT_SLOTS))

/* Nobody's, or given up and forgotten by the server. */
static bool slot_usable(const struct client_slot *slot)
{
    if (!__atomic_load_n(&slot->busy, __ATOMIC_ACQUIRE))
        return true;
    return __atomic_load_n(&slot->given_up, __ATOMIC_ACQUIRE) && virtio_9p_done(&slot->request) &&
           virtio_9p_done(&slot->flush);
}

static struct client_slot *slot_take(struct client *client)
{
    struct client_slot *slot = NULL;
    uint64_t flags = spin_lock_irqsave(&client->lock);

    for (unsigned i = 0; i < CLIENT_SLOTS && !slot; i++)
        if (slot_usable(&client->slots[i]))
            slot = &client->slots[i];
    if (slot) {
        slot->busy = true;
        slot->given_up = false;
    }
    spin_unlock_irqrestore(&client->lock, flags);
    return slot;
}

static void slot_free(struct client *client, struct client_slot *slot)
{
    __atomic_store_n(&slot->busy, false, __ATOMIC_RELEASE);
    wait_wake(&client->waiters, 1);
}

static bool slot_waits(struct client *client)
{
    for (unsigned i = 0; i < CLIENT_SLOTS; i++)
        if (slot_usable(&client->slots[i]))
            return true;
    return false;
}

static struct client_slot *slot_get(struct client *client)
{
    struct client_slot *slot;

    /* Nobody says when a slot that was given up is free. */
    while (!(slot = slot_take(client)))
        WAIT_UNTIL(&client->waiters, slot_waits(client), time_now() + PERIOD_NS, 0);
    return slot;
}

int call_begin(struct client_call *call, struct client *client, enum p9_type type)
{
    struct client_slot *slot = slot_get(client);

    if (!slot->out)
        slot->out = kmalloc(CLIENT_MESSAGE);
    if (!slot->in)
        slot->in = kmalloc(CLIENT_MESSAGE);
    if (!slot->out || !slot->in) {
        slot_free(client, slot);
        return ERR_NO_MEMORY;
    }
    *call = (struct client_call){.client = client, .slot = slot, .type = type};
    call->tag = type == P9_TVERSION ? P9_NO_TAG : (uint16_t)(slot - client->slots);
    p9_begin(&call->out, slot->out, CLIENT_MESSAGE, type, call->tag);
    return OK;
}

static int status_of_error(uint32_t error)
{
    switch (error) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ENOMEM:
        return ERR_NO_MEMORY;
    default:
        return LINUX_ERRNO((int)error);
    }
}

/* The server is to forget the request; nobody waits for it to say so. */
static void give_up(struct client_call *call)
{
    struct client_slot *slot = call->slot;
    struct p9_writer w;

    p9_begin(&w, slot->flush_out, sizeof(slot->flush_out), P9_TFLUSH, FLUSH_TAG(call->tag));
    p9_put16(&w, call->tag);
    slot->flush = (struct virtio_9p_request){.out = slot->flush_out,
                                             .out_size = (uint32_t)p9_end(&w),
                                             .in = slot->flush_in,
                                             .in_size = sizeof(slot->flush_in)};
    virtio_9p_send(call->client->channel, &slot->flush);
    call->given_up = true;
}

int call_run(struct client_call *call)
{
    struct virtio_9p_request *request = &call->slot->request;
    uint32_t error = 0;
    int r;

    *request = (struct virtio_9p_request){
        .out = call->slot->out, .in = call->slot->in, .in_size = CLIENT_MESSAGE};
    request->out_size = (uint32_t)p9_end(&call->out);
    if (request->out_size == 0)
        return LINUX_ERRNO(ENAMETOOLONG);
    r = virtio_9p_send(call->client->channel, request);
    if (r == OK)
        r = virtio_9p_wait(call->client->channel, request, linux_fs_caller_ends);
    if (r == ERR_INTERRUPTED) {
        give_up(call);
        return r;
    }
    if (r != OK)
        return ERR_IO;
    switch (p9_open_reply(&call->in, request->in, request->received, call->type, call->tag, &error)) {
    case P9_OK:
        return OK;
    case P9_REFUSED:
        return status_of_error(error);
    default:
        log_warn("p9: the server sent a malformed reply to request %u", call->type);
        return ERR_IO;
    }
}

int call_finish(struct client_call *call)
{
    if (p9_close_reply(&call->in) == P9_OK)
        return OK;
    log_warn("p9: the server sent a malformed reply to request %u", call->type);
    return ERR_IO;
}

void call_end(struct client_call *call)
{
    if (call->given_up)
        __atomic_store_n(&call->slot->given_up, true, __ATOMIC_RELEASE);
    else
        slot_free(call->client, call->slot);
}

int client_start(struct client *client, struct virtio_9p *channel)
{
    struct client_call call;
    char version[16];
    int r;

    client->channel = channel;
    wait_queue_init(&client->waiters);
    r = call_begin(&call, client, P9_TVERSION);
    if (r != OK)
        return r;
    p9_put32(&call.out, CLIENT_MESSAGE);
    p9_put_text(&call.out, VERSION);
    r = call_run(&call);
    if (r == OK) {
        client->message = p9_get32(&call.in);
        p9_get_text(&call.in, version, sizeof(version));
        r = call_finish(&call);
    }
    call_end(&call);
    if (r == OK && (strcmp(version, VERSION) != 0 || client->message > CLIENT_MESSAGE ||
                    client->message < MESSAGE_MIN))
        r = ERR_UNSUPPORTED;
    return r;
}

uint32_t client_new_fid(struct client *client)
{
    uint32_t fid = __atomic_add_fetch(&client->last_fid, 1, __ATOMIC_RELAXED);

    return fid == P9_NO_FID ? client_new_fid(client) : fid;
}

int client_walk(struct client *client, uint32_t fid, const char *name, uint32_t *out)
{
    struct client_call call;
    struct p9_qid qid;
    uint16_t count;
    int r = call_begin(&call, client, P9_TWALK);

    if (r != OK)
        return r;
    *out = client_new_fid(client);
    p9_put32(&call.out, fid);
    p9_put32(&call.out, *out);
    p9_put16(&call.out, name ? 1 : 0);
    if (name)
        p9_put_text(&call.out, name);
    r = call_run(&call);
    if (r == OK) {
        count = p9_get16(&call.in);
        if (count > 0)
            p9_get_qid(&call.in, &qid);
        r = call_finish(&call);
        if (r == OK && count != (name ? 1 : 0))
            r = ERR_IO;
    }
    call_end(&call);
    return r;
}

int client_close(struct client *client, uint32_t fid)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TCLUNK);

    if (r != OK)
        return r;
    p9_put32(&call.out, fid);
    r = call_run(&call);
    if (r == OK)
        r = call_finish(&call);
    call_end(&call);
    return r;
}

/* Nothing can be done where it fails: the fid's number is not used again. */
void client_clunk(struct client *client, uint32_t fid)
{
    client_close(client, fid);
}

long client_read(struct client *client, uint32_t fid, uint64_t offset, void *to, size_t size)
{
    struct client_call call;
    const void *bytes;
    uint32_t count = 0;
    int r = call_begin(&call, client, P9_TREAD);

    if (r != OK)
        return r;
    size = MIN(size, CLIENT_PAYLOAD);
    p9_put32(&call.out, fid);
    p9_put64(&call.out, offset);
    p9_put32(&call.out, (uint32_t)size);
    r = call_run(&call);
    if (r == OK) {
        count = p9_get32(&call.in);
        bytes = p9_get_bytes(&call.in, count);
        r = count > size ? ERR_IO : call_finish(&call);
        if (r == OK)
            memcpy(to, bytes, count);
    }
    call_end(&call);
    return r == OK ? (long)count : r;
}

long client_write(struct client *client, uint32_t fid, uint64_t offset, const void *from,
                  size_t size)
{
    struct client_call call;
    uint32_t count = 0;
    int r = call_begin(&call, client, P9_TWRITE);

    if (r != OK)
        return r;
    size = MIN(size, CLIENT_PAYLOAD);
    p9_put32(&call.out, fid);
    p9_put64(&call.out, offset);
    p9_put32(&call.out, (uint32_t)size);
    p9_put_bytes(&call.out, from, size);
    r = call_run(&call);
    if (r == OK) {
        count = p9_get32(&call.in);
        r = count > size ? ERR_IO : call_finish(&call);
    }
    call_end(&call);
    return r == OK ? (long)count : r;
}

void client_free(struct client *client)
{
    for (unsigned i = 0; i < CLIENT_SLOTS; i++) {
        kfree(client->slots[i].out);
        kfree(client->slots[i].in);
    }
    kfree(client);
}
