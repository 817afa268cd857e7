/*
 * message.c: the calls that send and receive, with what goes beside the bytes: addresses, files,
 * credentials.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/net/inet.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define CONTROL_MAX 4096u
#define HOP_LIMIT   64

static unsigned flags_of(const struct file *f, uint64_t flags)
{
    return (unsigned)flags | (f->flags & LINUX_O_NONBLOCK ? LINUX_MSG_DONTWAIT : 0u);
}

/* ---- Sending */

static int add_files(struct task *t, struct message *m, const uint8_t *data, size_t size)
{
    unsigned count = (unsigned)(size / sizeof(int32_t));

    if (count + m->file_count > LINUX_SCM_MAX_FD)
        return ERR_INVALID;
    if (!m->files)
        m->files = kmalloc(LINUX_SCM_MAX_FD * sizeof(struct file *));
    if (!m->files)
        return ERR_NO_MEMORY;
    for (unsigned i = 0; i < count; i++) {
        struct file *f;
        int32_t fd;

        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        f = fd_get(t->process->files, fd);
        if (!f)
            return LINUX_ERRNO(EBADF);
        m->files[m->file_count++] = f;
    }
    return OK;
}

/* Others' numbers can be claimed only by who could take them on. */
static bool credentials_are_own(const struct process *p, const struct linux_ucred *claimed)
{
    const struct ids *user = &p->credentials.user, *group = &p->credentials.group;

    return (capable(CAP_SETUID) || claimed->uid == user->real || claimed->uid == user->effective ||
            claimed->uid == user->saved) &&
           (capable(CAP_SETGID) || claimed->gid == group->real ||
            claimed->gid == group->effective || claimed->gid == group->saved);
}

static int add_credentials(struct task *t, struct message *m, const uint8_t *data, size_t size)
{
    if (size != sizeof(m->credentials))
        return ERR_INVALID;
    memcpy(&m->credentials, data, size);
    if (m->credentials.pid != t->process->pid || !credentials_are_own(t->process, &m->credentials))
        return LINUX_ERRNO(EPERM);
    m->has_credentials = true;
    return OK;
}

static int parse_control(struct task *t, const struct socket *s, struct message *m,
                         const uint8_t *control, size_t size)
{
    size_t at = 0;
    int r = OK;

    while (r == OK && size - at >= sizeof(struct linux_cmsghdr)) {
        struct linux_cmsghdr h;
        const uint8_t *data = control + at + sizeof(h);

        memcpy(&h, control + at, sizeof(h));
        if (h.size < sizeof(h) || h.size > size - at)
            return ERR_INVALID;
        if (h.level == LINUX_SOL_SOCKET && h.type == LINUX_SCM_RIGHTS)
            r = add_files(t, m, data, h.size - sizeof(h));
        else if (h.level == LINUX_SOL_SOCKET && h.type == LINUX_SCM_CREDENTIALS)
            r = add_credentials(t, m, data, h.size - sizeof(h));
        else if (h.level == INET_PROTOCOL_IPV6 && s->family == LINUX_AF_INET6 &&
                 !socket_connects(s))
            r = inet_read_control(&m->header, h.type, data, h.size - sizeof(h));
        else
            r = h.level == LINUX_SOL_SOCKET ? ERR_INVALID : OK;
        at += MIN(ALIGN_UP(h.size, 8), size - at);
    }
    return r;
}

static int read_control(struct task *t, const struct socket *s, struct message *m, vaddr_t at,
                        uint64_t size)
{
    uint8_t *control;
    int r;

    if (size == 0)
        return OK;
    if (size > CONTROL_MAX)
        return LINUX_ERRNO(EMSGSIZE);
    control = kmalloc(size);
    if (!control)
        return ERR_NO_MEMORY;
    r = user_read(control, at, size) == OK ? parse_control(t, s, m, control, size) : ERR_FAULT;
    kfree(control);
    return r;
}

static size_t size_of_parts(const struct linux_iovec *parts, size_t count)
{
    uint64_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    return MIN(size, LINUX_RW_MAX);
}

static int read_header(vaddr_t at, struct linux_msghdr *h, struct linux_iovec **parts)
{
    if (user_read(h, at, sizeof(*h)) != OK)
        return ERR_FAULT;
    if (h->part_count > LINUX_IOV_MAX)
        return LINUX_ERRNO(EMSGSIZE);
    return iovec_read(h->parts, h->part_count, parts);
}

static long send_header(struct task *t, struct file *f, struct socket *s, vaddr_t at,
                        uint64_t flags)
{
    struct message m = {.flags = flags_of(f, flags), .header = {-1, -1}};
    struct linux_iovec *parts;
    struct linux_msghdr h;
    long r = read_header(at, &h, &parts);

    if (r != OK)
        return r;
    m.cursor = (struct cursor){.parts = parts, .count = h.part_count};
    m.size = size_of_parts(parts, h.part_count);
    if (h.name != 0 && h.name_size > 0)
        r = address_read(h.name, h.name_size, &m.address);
    if (r == OK)
        r = read_control(t, s, &m, h.control, h.control_size);
    if (socket_is_inet(s))
        message_drop_files(&m); /* they go only where credentials do */
    if (r == OK)
        r = socket_send(s, &m);
    message_drop_files(&m);
    kfree(parts);
    return r;
}

long sys_sendmsg(struct call *c)
{
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    r = send_header(c->task, f, s, c->arg[1], c->arg[2]);
    file_unref(f);
    return r;
}

long sys_sendto(struct call *c)
{
    struct linux_iovec part = {c->arg[1], MIN(c->arg[2], LINUX_RW_MAX)};
    struct message m = {.cursor = {.parts = &part, .count = 1}, .size = part.size, .header = {-1, -1}};
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    m.flags = flags_of(f, c->arg[3]);
    if (c->arg[4] != 0 && c->arg[5] != 0)
        r = address_read(c->arg[4], (uint32_t)c->arg[5], &m.address);
    if (r == OK)
        r = socket_send(s, &m);
    file_unref(f);
    return r;
}

/* ---- Receiving */

/* Room for control messages in user memory. */
struct control {
    vaddr_t at;
    size_t room, used;
};

/* false: it did not fit; as much of it as there is room for is there. */
static bool put_control(struct control *c, int level, int type, const void *data, size_t size)
{
    size_t room = c->room - c->used, whole = sizeof(struct linux_cmsghdr) + size;
    struct linux_cmsghdr h = {MIN(whole, room), level, type};

    if (room < sizeof(h) || user_write(c->at + c->used, &h, sizeof(h)) != OK ||
        user_write(c->at + c->used + sizeof(h), data, h.size - sizeof(h)) != OK)
        return false;
    c->used += MIN(ALIGN_UP(h.size, 8), room);
    return h.size == whole;
}

/* Gives descriptors to as many files as there is room for; the others are dropped. */
static bool put_files(struct task *t, struct message *m, struct control *c)
{
    size_t room = c->room - c->used, header = sizeof(struct linux_cmsghdr);
    size_t fit = room <= header ? 0 : (room - header) / sizeof(int32_t);
    int32_t fds[LINUX_SCM_MAX_FD];
    unsigned n = 0;

    while (n < m->file_count && n < fit) {
        long fd;

        file_ref(m->files[n]);
        fd = file_install(t, m->files[n], m->flags & LINUX_MSG_CMSG_CLOEXEC);
        if (fd < 0)
            break;
        fds[n++] = (int32_t)fd;
    }
    return (n == 0 || put_control(c, LINUX_SOL_SOCKET, LINUX_SCM_RIGHTS, fds, n * sizeof(fds[0]))) &&
           n == m->file_count;
}

/* What a v6 datagram's header said, as far as the receiver asked for it. */
static bool put_header_values(const struct socket *s, const struct message *m, struct control *c)
{
    int32_t hop_limit = m->header.hop_limit < 0 ? HOP_LIMIT : m->header.hop_limit;
    int32_t traffic_class = MAX(m->header.traffic_class, 0);
    bool all = true;

    if (s->family != LINUX_AF_INET6 || socket_connects(s))
        return true;
    if (s->tell_hop_limit)
        all = put_control(c, INET_PROTOCOL_IPV6, INET_V6_HOP_LIMIT, &hop_limit, sizeof(hop_limit));
    if (s->tell_traffic_class && !put_control(c, INET_PROTOCOL_IPV6, INET_V6_TRAFFIC_CLASS,
                                              &traffic_class, sizeof(traffic_class)))
        all = false;
    return all;
}

static long put_extras(struct task *t, struct socket *s, struct message *m, struct linux_msghdr *h)
{
    struct control c = {.at = h->control, .room = h->control ? h->control_size : 0};

    if (s->pass_credentials && m->has_credentials &&
        !put_control(&c, LINUX_SOL_SOCKET, LINUX_SCM_CREDENTIALS, &m->credentials,
                     sizeof(m->credentials)))
        m->result_flags |= LINUX_MSG_CTRUNC;
    if (!put_header_values(s, m, &c))
        m->result_flags |= LINUX_MSG_CTRUNC;
    if (m->file_count > 0 && !put_files(t, m, &c))
        m->result_flags |= LINUX_MSG_CTRUNC;
    h->control_size = c.used;
    h->flags = m->result_flags | (m->flags & LINUX_MSG_CMSG_CLOEXEC);
    if (h->name == 0)
        return OK;
    if (user_write(h->name, &m->address.name, MIN(h->name_size, m->address.size)) != OK)
        return ERR_FAULT;
    h->name_size = m->address.size;
    return OK;
}

static long receive_header(struct task *t, struct file *f, struct socket *s, vaddr_t at,
                           uint64_t flags)
{
    struct message m = {.flags = flags_of(f, flags)};
    struct linux_iovec *parts;
    struct linux_msghdr h;
    long n, r = read_header(at, &h, &parts);

    if (r != OK)
        return r;
    m.cursor = (struct cursor){.parts = parts, .count = h.part_count};
    m.size = size_of_parts(parts, h.part_count);
    n = socket_receive(s, &m);
    if (n >= 0)
        r = put_extras(t, s, &m, &h);
    if (n >= 0 && r == OK)
        r = user_write(at, &h, sizeof(h));
    message_drop_files(&m);
    kfree(parts);
    return n >= 0 && r != OK ? r : n;
}

long sys_recvmsg(struct call *c)
{
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    r = receive_header(c->task, f, s, c->arg[1], c->arg[2]);
    file_unref(f);
    return r;
}

/* The sender's address; one without has none: size 0. */
static long put_address(vaddr_t at, vaddr_t size_at, const struct socket_address *address)
{
    uint32_t none = 0;

    if (address->size == 0)
        return user_write(size_at, &none, sizeof(none));
    return address_write(at, size_at, address);
}

long sys_recvfrom(struct call *c)
{
    struct linux_iovec part = {c->arg[1], MIN(c->arg[2], LINUX_RW_MAX)};
    struct message m = {.cursor = {.parts = &part, .count = 1}, .size = part.size};
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    m.flags = flags_of(f, c->arg[3]);
    r = socket_receive(s, &m);
    message_drop_files(&m); /* nobody asked for them */
    if (r >= 0 && c->arg[4] != 0 && put_address(c->arg[4], c->arg[5], &m.address) != OK)
        r = ERR_FAULT;
    file_unref(f);
    return r;
}

/* Several messages one after another; the count of those that were sent. */
long sys_sendmmsg(struct call *c)
{
    uint64_t count = MIN((uint32_t)c->arg[2], LINUX_IOV_MAX), done;
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    for (done = 0; done < count; done++) {
        vaddr_t at = c->arg[1] + done * sizeof(struct linux_mmsghdr);
        uint32_t size;

        r = send_header(c->task, f, s, at, c->arg[3]);
        if (r < 0)
            break;
        size = (uint32_t)r;
        r = user_write(at + offsetof(struct linux_mmsghdr, size), &size, sizeof(size));
        if (r < 0)
            break;
    }
    file_unref(f);
    return done > 0 ? (long)done : r;
}

/* The time limit is looked at between messages, as on Linux; what is left of it is written back. */
static int write_left(vaddr_t at, uint64_t due)
{
    uint64_t now = time_now();

    if (at == 0)
        return OK;
    return clock_write_timespec(at, due > now && due != TIME_NEVER ? due - now : 0);
}

static long receive_many(struct task *t, struct file *f, struct socket *s, struct call *c,
                         uint64_t due)
{
    uint64_t count = MIN((uint32_t)c->arg[2], LINUX_IOV_MAX), flags = c->arg[3], done;
    long r = OK;

    for (done = 0; done < count; done++) {
        vaddr_t at = c->arg[1] + done * sizeof(struct linux_mmsghdr);
        uint32_t size;

        r = receive_header(t, f, s, at, flags & ~(uint64_t)LINUX_MSG_WAITFORONE);
        if (r < 0)
            break;
        size = (uint32_t)r;
        r = user_write(at + offsetof(struct linux_mmsghdr, size), &size, sizeof(size));
        if (r < 0)
            break;
        if (flags & LINUX_MSG_WAITFORONE)
            flags |= LINUX_MSG_DONTWAIT;
        if (time_now() >= due) {
            done++;
            break;
        }
    }
    return done > 0 ? (long)done : r;
}

/* Several messages; with WAITFORONE only the first is waited for. */
long sys_recvmmsg(struct call *c)
{
    uint64_t due = TIME_NEVER, ns;
    struct socket *s;
    struct file *f;
    long r = OK;

    if (c->arg[4] != 0)
        r = clock_read_timespec(c->arg[4], &ns);
    if (r != OK)
        return r;
    if (c->arg[4] != 0)
        due = clock_due_in(ns);
    r = socket_find(c->task, (int)c->arg[0], &f, &s);
    if (r != OK)
        return r;
    r = receive_many(c->task, f, s, c, due);
    file_unref(f);
    return r > 0 && write_left(c->arg[4], due) != OK ? ERR_FAULT : r;
}
