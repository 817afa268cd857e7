/*
 * option.c: getsockopt and setsockopt.
 */
#include <microlake/user.h>

#include "modules/linux/abi/process.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/net/inet.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define BUFFER_MIN 4608
#define BUFFER_MAX (1 << 20)

static size_t limit_of(int32_t asked)
{
    int32_t n = MAX(MIN(asked, BUFFER_MAX), 0);

    return (size_t)MAX(n * 2, BUFFER_MIN);
}

static int set_timeout(vaddr_t at, uint64_t size, uint64_t *out)
{
    struct linux_timeval t;

    if (size < sizeof(t))
        return ERR_INVALID;
    if (user_read(&t, at, sizeof(t)) != OK)
        return ERR_FAULT;
    if (t.usec < 0 || t.usec >= 1000000)
        return LINUX_ERRNO(EDOM);
    if (t.sec < 0 || t.sec > INT32_MAX)
        *out = 0;
    else
        *out = (uint64_t)t.sec * NS_PER_SEC + (uint64_t)t.usec * NS_PER_US;
    return OK;
}

static int set_number(struct socket *s, int option, int32_t value)
{
    switch (option) {
    case LINUX_SO_SNDBUF:
        s->send_limit = limit_of(value);
        return OK;
    case LINUX_SO_RCVBUF:
        s->receive_limit = limit_of(value);
        return OK;
    case LINUX_SO_PASSCRED:
        s->pass_credentials = value != 0;
        return OK;
    case LINUX_SO_REUSEADDR:
        s->reuse = value != 0;
        return OK;
    case LINUX_SO_REUSEPORT:
        s->reuse_port = value != 0;
        return OK;
    /* these mean nothing to sockets of one machine */
    case LINUX_SO_KEEPALIVE:
    case LINUX_SO_BROADCAST:
    case LINUX_SO_LINGER:
        return OK;
    default:
        return LINUX_ERRNO(ENOPROTOOPT);
    }
}

static int set_option(struct socket *s, int option, vaddr_t at, uint32_t size)
{
    int32_t value;

    if (option == LINUX_SO_RCVTIMEO)
        return set_timeout(at, size, &s->read_timeout);
    if (option == LINUX_SO_SNDTIMEO)
        return set_timeout(at, size, &s->write_timeout);
    if (size < sizeof(value))
        return ERR_INVALID;
    if (user_read(&value, at, sizeof(value)) != OK)
        return ERR_FAULT;
    return set_number(s, option, value);
}

/* Options of Internet protocols are numbers. */
static int set_protocol_option(struct socket *s, const struct call *c)
{
    int32_t value;

    if (!socket_is_inet(s))
        return LINUX_ERRNO(EOPNOTSUPP);
    if ((uint32_t)c->arg[4] < sizeof(value))
        return ERR_INVALID;
    if (user_read(&value, c->arg[3], sizeof(value)) != OK)
        return ERR_FAULT;
    return inet_set_option(s, (int)c->arg[1], (int)c->arg[2], value);
}

long sys_setsockopt(struct call *c)
{
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    if ((int)c->arg[1] == LINUX_SOL_SOCKET)
        r = set_option(s, (int)c->arg[2], c->arg[3], (uint32_t)c->arg[4]);
    else
        r = set_protocol_option(s, c);
    file_unref(f);
    return r;
}

static int32_t take_error(struct socket *s)
{
    int error;

    spin_lock(&socket_lock);
    error = s->error;
    s->error = OK;
    spin_unlock(&socket_lock);
    return error ? (int32_t)-errno_of_result(error) : 0;
}

static int get_number(struct socket *s, int option, int32_t *out)
{
    switch (option) {
    case LINUX_SO_TYPE:
        *out = s->type;
        return OK;
    case LINUX_SO_ERROR:
        *out = take_error(s);
        return OK;
    case LINUX_SO_SNDBUF:
        *out = (int32_t)s->send_limit;
        return OK;
    case LINUX_SO_RCVBUF:
        *out = (int32_t)s->receive_limit;
        return OK;
    case LINUX_SO_PASSCRED:
        *out = s->pass_credentials;
        return OK;
    case LINUX_SO_ACCEPTCONN:
        *out = s->state == SOCKET_LISTENING;
        return OK;
    case LINUX_SO_DOMAIN:
        *out = s->family;
        return OK;
    case LINUX_SO_REUSEADDR:
        *out = s->reuse;
        return OK;
    case LINUX_SO_REUSEPORT:
        *out = s->reuse_port;
        return OK;
    case LINUX_SO_PROTOCOL:
        *out = s->protocol;
        return OK;
    case LINUX_SO_KEEPALIVE:
    case LINUX_SO_BROADCAST:
        *out = 0;
        return OK;
    default:
        return LINUX_ERRNO(ENOPROTOOPT);
    }
}

/* An option's value, whatever its form. */
union value {
    int32_t number;
    struct linux_ucred credentials;
    struct linux_timeval time;
};

static struct linux_timeval timeval_of(uint64_t ns)
{
    return (struct linux_timeval){(int64_t)(ns / NS_PER_SEC),
                                  (int64_t)(ns % NS_PER_SEC / NS_PER_US)};
}

static int get_option(struct socket *s, int option, union value *value, uint32_t *size)
{
    switch (option) {
    case LINUX_SO_PEERCRED:
        *size = sizeof(value->credentials);
        value->credentials = s->other;
        if (s->state != SOCKET_CONNECTED)
            value->credentials = (struct linux_ucred){0, ~0u, ~0u};
        return OK;
    case LINUX_SO_RCVTIMEO:
    case LINUX_SO_SNDTIMEO:
        *size = sizeof(value->time);
        value->time = timeval_of(option == LINUX_SO_RCVTIMEO ? s->read_timeout : s->write_timeout);
        return OK;
    default:
        *size = sizeof(value->number);
        return get_number(s, option, &value->number);
    }
}

static long write_option(struct call *c, struct socket *s)
{
    union value value = {0};
    uint32_t size;
    int32_t room;
    int r;

    if (user_read(&room, c->arg[4], sizeof(room)) != OK)
        return ERR_FAULT;
    if (room < 0)
        return ERR_INVALID;
    size = sizeof(value.number);
    if ((int)c->arg[1] == LINUX_SOL_SOCKET)
        r = get_option(s, (int)c->arg[2], &value, &size);
    else
        r = inet_get_option(s, (int)c->arg[1], (int)c->arg[2], &value.number);
    if (r != OK)
        return r;
    size = MIN(size, (uint32_t)room);
    if (user_write(c->arg[3], &value, size) != OK)
        return ERR_FAULT;
    return user_write(c->arg[4], &size, sizeof(size));
}

long sys_getsockopt(struct call *c)
{
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    if ((int)c->arg[1] == LINUX_SOL_SOCKET || socket_is_inet(s))
        r = write_option(c, s);
    else
        r = LINUX_ERRNO(EOPNOTSUPP);
    file_unref(f);
    return r;
}
