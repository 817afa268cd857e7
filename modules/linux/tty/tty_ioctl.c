/*
 * tty_ioctl.c: what programs ask of and set on a terminal. See tty.h.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/abi/fs.h"
#include "modules/linux/abi/signal.h"
#include "modules/linux/process/process.h"
#include "modules/linux/tty/tty.h"

/* How TCSETS and its relatives differ. */
struct setting {
    size_t size; /* of the structure */
    bool flush;  /* input is forgotten first */
};

static long termios_get(struct tty *t, vaddr_t at, size_t size)
{
    struct linux_termios termios;

    mutex_lock(&t->lock);
    termios = t->line.termios;
    mutex_unlock(&t->lock);
    return user_write(at, &termios, size);
}

/* Bits per second of c_cflag's code; 0: the speed stands beside it, or there is none. */
static uint32_t speed_of(uint32_t control)
{
    static const uint32_t low[] = {0,   50,   75,   110,  134,  150,  200,   300,
                                   600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
    static const uint32_t high[] = {0,       57600,   115200,  230400,  460800,  500000,
                                    576000,  921600,  1000000, 1152000, 1500000, 2000000,
                                    2500000, 3000000, 3500000, 4000000};
    uint32_t code = control & 0xf;

    return control & LINUX_CBAUDEX ? high[code] : low[code];
}

/* A terminal without a wire has 8 bits and no parity, whatever is asked for. */
static void termios_mend(struct linux_termios *fresh, bool with_speeds)
{
    uint32_t code = fresh->control & LINUX_CBAUD;

    fresh->control &= ~(uint32_t)(LINUX_CSIZE | LINUX_PARENB);
    fresh->control |= LINUX_CS8 | LINUX_CREAD;
    if (!with_speeds || code != LINUX_CBAUDEX) {
        fresh->output_speed = speed_of(fresh->control);
        fresh->input_speed = fresh->output_speed;
    }
}

/* Ctrl-S and Ctrl-Q are keys like others to a program behind the master from now on, or no more. */
static bool has_flow_keys(const struct linux_termios *t)
{
    return (t->input & LINUX_IXON) && t->chars[LINUX_VSTOP] == 023 && t->chars[LINUX_VSTART] == 021;
}

static void termios_apply(struct tty *t, const struct linux_termios *fresh, bool flush)
{
    bool keys;

    mutex_lock(&t->lock);
    if (flush)
        tty_flush_locked(t);
    keys = has_flow_keys(&t->line.termios);
    line_set_termios(&t->line, fresh);
    if (keys != has_flow_keys(fresh))
        t->driver->tell(t, keys ? LINUX_TIOCPKT_NOSTOP : LINUX_TIOCPKT_DOSTOP);
    if (t->line.stopped && !line_input(&t->line, LINUX_IXON))
        tty_stop_locked(t, false);
    mutex_unlock(&t->lock);
    wait_wake_all(&t->readable);
    linux_poll_notify(&t->source);
}

/* Output is at the other end, or in its queue, once it was written: nothing is waited for. */
static long termios_set(struct tty *t, vaddr_t at, const struct setting *how)
{
    struct linux_termios fresh = {0};
    int r = control_check(t, LINUX_SIGTTOU);

    if (r != OK)
        return r;
    if (user_read(&fresh, at, how->size) != OK)
        return ERR_FAULT;
    termios_mend(&fresh, how->size == sizeof(fresh));
    termios_apply(t, &fresh, how->flush);
    return 0;
}

static long flush(struct tty *t, uint64_t which)
{
    int r = control_check(t, LINUX_SIGTTOU);

    if (r != OK)
        return r;
    if (which > LINUX_TCIOFLUSH)
        return ERR_INVALID;
    mutex_lock(&t->lock);
    if (which != LINUX_TCOFLUSH) {
        tty_flush_locked(t);
        t->driver->tell(t, LINUX_TIOCPKT_FLUSHREAD);
    }
    if (which != LINUX_TCIFLUSH)
        t->driver->discard(t);
    mutex_unlock(&t->lock);
    tty_wake_writers(t);
    return 0;
}

/* TCIOFF and TCION type the key that stops, or starts, the other end. */
static long flow(struct tty *t, uint64_t what)
{
    int r = control_check(t, LINUX_SIGTTOU);
    uint8_t key;

    if (r != OK)
        return r;
    mutex_lock(&t->lock);
    switch (what) {
    case LINUX_TCOOFF:
    case LINUX_TCOON:
        tty_stop_locked(t, what == LINUX_TCOOFF);
        break;
    case LINUX_TCIOFF:
    case LINUX_TCION:
        key = t->line.termios.chars[what == LINUX_TCIOFF ? LINUX_VSTOP : LINUX_VSTART];
        if (key != 0)
            t->driver->put(t, &key, 1);
        break;
    default:
        r = ERR_INVALID;
    }
    mutex_unlock(&t->lock);
    return r;
}

static long size_get(struct tty *t, vaddr_t at)
{
    struct linux_winsize size;

    mutex_lock(&t->lock);
    size = t->size;
    mutex_unlock(&t->lock);
    return user_write(at, &size, sizeof(size));
}

static long size_set(struct tty *t, vaddr_t at)
{
    struct linux_winsize size;

    if (user_read(&size, at, sizeof(size)) != OK)
        return ERR_FAULT;
    tty_set_size(t, &size);
    return 0;
}

static long write_number(vaddr_t at, long number)
{
    int32_t n = (int32_t)number;

    return number < 0 ? number : user_write(at, &n, sizeof(n));
}

static long count_input(struct tty *t, vaddr_t at)
{
    uint32_t count;

    mutex_lock(&t->lock);
    count = line_count(&t->line);
    mutex_unlock(&t->lock);
    return write_number(at, count);
}

static long set_group(struct tty *t, vaddr_t at)
{
    int32_t group;

    if (user_read(&group, at, sizeof(group)) != OK)
        return ERR_FAULT;
    return control_set_group(t, group);
}

static long exclusive_set(struct tty *t, bool on)
{
    mutex_lock(&t->lock);
    t->exclusive = on;
    mutex_unlock(&t->lock);
    return 0;
}

/* Commands about settings. ERR_NOT_FOUND: it is none of them. */
static long settings_ioctl(struct tty *t, unsigned command, uint64_t argument)
{
    const size_t old = LINUX_TERMIOS_SIZE, new = sizeof(struct linux_termios);

    switch (command) {
    case LINUX_TCGETS:
        return termios_get(t, argument, old);
    case LINUX_TCGETS2:
        return termios_get(t, argument, new);
    case LINUX_TCSETS:
    case LINUX_TCSETSW:
        return termios_set(t, argument, &(struct setting){old, false});
    case LINUX_TCSETSF:
        return termios_set(t, argument, &(struct setting){old, true});
    case LINUX_TCSETS2:
    case LINUX_TCSETSW2:
        return termios_set(t, argument, &(struct setting){new, false});
    case LINUX_TCSETSF2:
        return termios_set(t, argument, &(struct setting){new, true});
    case LINUX_TIOCGWINSZ:
        return size_get(t, argument);
    case LINUX_TIOCSWINSZ:
        return size_set(t, argument);
    case LINUX_TIOCEXCL:
    case LINUX_TIOCNXCL:
        return exclusive_set(t, command == LINUX_TIOCEXCL);
    case LINUX_TIOCGEXCL:
        return write_number(argument, t->exclusive);
    case LINUX_TIOCGETD:
        return write_number(argument, 0); /* N_TTY: there is no other */
    default:
        return ERR_NOT_FOUND;
    }
}

/* Reading it, or all rights, is what one needs; argument 1: also from another session. */
static long take(struct tty *t, uint64_t argument, bool readable)
{
    bool may = capable(CAP_SYS_ADMIN);

    if (!readable && !may)
        return LINUX_ERRNO(EPERM);
    return control_attach(t, task_current()->process, argument == 1 && may);
}

/* Commands about who may use it. ERR_NOT_FOUND: it is none of them. */
static long control_ioctl(struct tty *t, unsigned command, uint64_t argument, bool own,
                          bool readable)
{
    switch (command) {
    case LINUX_TIOCSCTTY:
        return take(t, argument, readable);
    case LINUX_TIOCNOTTY:
        return control_detach(t);
    case LINUX_TIOCGPGRP:
        return write_number(argument, control_get(t, false, own));
    case LINUX_TIOCSPGRP:
        return set_group(t, argument);
    case LINUX_TIOCGSID:
        return write_number(argument, control_get(t, true, own));
    default:
        return ERR_NOT_FOUND;
    }
}

static long queue_ioctl(struct tty *t, unsigned command, uint64_t argument)
{
    switch (command) {
    case LINUX_TCFLSH:
        return flush(t, argument);
    case LINUX_TCXONC:
        return flow(t, argument);
    case LINUX_TCSBRK:
    case LINUX_TCSBRKP:
        return control_check(t, LINUX_SIGTTOU); /* a break has no wire to be seen on */
    case LINUX_FIONREAD:
        return count_input(t, argument);
    case LINUX_TIOCOUTQ:
        return write_number(argument, t->driver->pending(t));
    case LINUX_TIOCSTI:
        return LINUX_ERRNO(EIO); /* nobody types for somebody else */
    default:
        return LINUX_ERRNO(ENOTTY);
    }
}

long tty_ioctl(struct tty *t, unsigned command, uint64_t argument, bool own, bool readable)
{
    long r = settings_ioctl(t, command, argument);

    if (r == ERR_NOT_FOUND)
        r = control_ioctl(t, command, argument, own, readable);
    return r == ERR_NOT_FOUND ? queue_ioctl(t, command, argument) : r;
}
