/*
 * sys_attr.c: owners and time stamps of names, files without a name in the tree, and putting things
 * on the disk that is not there.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/foreign.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/path_arg.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

#define MFD_CLOEXEC       1u
#define MFD_ALLOW_SEALING 2u
#define MFD_NOEXEC_SEAL   8u
#define MFD_EXEC          16u
#define MFD_NAME_MAX      249u

static int find_node(struct call *c, int folder, vaddr_t path, unsigned flags, struct node **out)
{
    struct path_arg arg;
    int r = path_arg_get(c->task, folder, path, flags & LINUX_AT_EMPTY_PATH, &arg);

    if (r != OK)
        return r;
    r = path_arg_lookup(&arg, flags & LINUX_AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, out);
    path_arg_put(&arg);
    return r;
}

static long change_owner(struct node *n, uint64_t user, uint64_t group)
{
    long r = permission_set_owner(n, (uint32_t)user, (uint32_t)group);

    return r == OK ? node_set_owner(n, (uint32_t)user, (uint32_t)group) : r;
}

static long change_owner_at(struct call *c, int folder, vaddr_t path, const uint64_t owner[2],
                            unsigned flags)
{
    struct node *n;
    long r = find_node(c, folder, path, flags, &n);

    if (r != OK)
        return r;
    r = change_owner(n, owner[0], owner[1]);
    node_unref(n);
    return r;
}

long sys_chown(struct call *c)
{
    return change_owner_at(c, LINUX_AT_FDCWD, c->arg[0], &c->arg[1], 0);
}

long sys_lchown(struct call *c)
{
    return change_owner_at(c, LINUX_AT_FDCWD, c->arg[0], &c->arg[1], LINUX_AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(struct call *c)
{
    if (c->arg[4] & ~(uint64_t)(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    return change_owner_at(c, (int)c->arg[0], c->arg[1], &c->arg[2], (unsigned)c->arg[4]);
}

long sys_fchown(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    r = f->node ? change_owner(node_body(f->node), c->arg[1], c->arg[2]) : OK;
    file_unref(f);
    return r;
}

/* The times that a program gives, counted from the machine's start like all of nodes; earlier ones
 * wrap. */
struct given_times {
    uint64_t values[2];
    struct node_times times;
};

static void take_time(const struct linux_timespec *t, uint64_t *value, const uint64_t **out)
{
    if (t->nsec == UTIME_OMIT)
        return;
    *out = value;
    if (t->nsec != UTIME_NOW)
        *value = (uint64_t)t->sec * NS_PER_SEC + (uint64_t)t->nsec - time_wall_offset();
}

static void take_times(const struct linux_timespec given[2], struct given_times *out)
{
    *out = (struct given_times){.values = {clock_stamp(), clock_stamp()}};
    out->values[1] = out->values[0];
    out->times.now = given[0].nsec == UTIME_NOW && given[1].nsec == UTIME_NOW;
    take_time(&given[0], &out->values[0], &out->times.accessed);
    take_time(&given[1], &out->values[1], &out->times.modified);
}

static int read_times(vaddr_t at, struct given_times *out)
{
    struct linux_timespec given[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

    if (at != 0 && user_read(given, at, sizeof(given)) != OK)
        return ERR_FAULT;
    for (int i = 0; i < 2; i++) {
        if (given[i].nsec != UTIME_NOW && given[i].nsec != UTIME_OMIT &&
            (given[i].nsec < 0 || given[i].nsec >= (int64_t)NS_PER_SEC))
            return ERR_INVALID;
    }
    take_times(given, out);
    return OK;
}

/* Who may write to a file may say that it was used just now; other times are its owner's to set. */
static long set_times(struct node *n, const struct node_times *times)
{
    if (permission_owns(n))
        return node_set_times(n, times);
    if (!times->now)
        return LINUX_ERRNO(EPERM);
    return permission_check(n, PERMIT_WRITE) == OK ? node_set_times(n, times) : ERR_ACCESS;
}

static long set_times_of_fd(struct call *c, const struct node_times *times)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    long r = OK;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->flags & LINUX_O_PATH)
        r = LINUX_ERRNO(EBADF);
    else if (f->node)
        r = set_times(node_body(f->node), times);
    file_unref(f);
    return r;
}

static long set_times_at(struct call *c, int folder, vaddr_t path, unsigned flags,
                         const struct node_times *times)
{
    struct node *n;
    long r;

    if (!times->accessed && !times->modified)
        return OK; /* Linux does not look for the file then */
    r = find_node(c, folder, path, flags, &n);
    if (r != OK)
        return r;
    r = set_times(n, times);
    node_unref(n);
    return r;
}

long sys_utimensat(struct call *c)
{
    struct given_times given;
    long r;

    r = read_times(c->arg[2], &given);
    if (r != OK)
        return r;
    if (c->arg[1] == 0 && (int)c->arg[0] != LINUX_AT_FDCWD)
        return c->arg[3] ? ERR_INVALID : set_times_of_fd(c, &given.times);
    if (c->arg[3] & ~(uint64_t)(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
        return ERR_INVALID;
    return set_times_at(c, (int)c->arg[0], c->arg[1], (unsigned)c->arg[3], &given.times);
}

/* With microseconds, which is what programs of before have. */
static long set_times_us(struct call *c, int folder, vaddr_t path, vaddr_t at)
{
    struct linux_timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    struct linux_timeval us[2];
    struct given_times given;

    if (at != 0 && user_read(us, at, sizeof(us)) != OK)
        return ERR_FAULT;
    for (int i = 0; i < 2 && at != 0; i++) {
        if (us[i].usec < 0 || us[i].usec >= 1000000)
            return ERR_INVALID;
        now[i] = (struct linux_timespec){us[i].sec, us[i].usec * 1000};
    }
    take_times(now, &given);
    return set_times_at(c, folder, path, 0, &given.times);
}

long sys_utimes(struct call *c)
{
    return set_times_us(c, LINUX_AT_FDCWD, c->arg[0], c->arg[1]);
}

long sys_futimesat(struct call *c)
{
    return set_times_us(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

long sys_utime(struct call *c)
{
    struct linux_timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    struct given_times given;
    int64_t seconds[2];

    if (c->arg[1] != 0 && user_read(seconds, c->arg[1], sizeof(seconds)) != OK)
        return ERR_FAULT;
    for (int i = 0; i < 2 && c->arg[1] != 0; i++)
        times[i] = (struct linux_timespec){seconds[i], 0};
    take_times(times, &given);
    return set_times_at(c, LINUX_AT_FDCWD, c->arg[0], 0, &given.times);
}

/* A file of the kind that /tmp has, which no folder lists. */
long sys_memfd_create(struct call *c)
{
    const unsigned known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    char name[6 + MFD_NAME_MAX + 1] = "memfd:";
    struct node *node;
    struct file *f;
    long r;

    if (c->arg[1] & ~(uint64_t)known)
        return ERR_INVALID;
    r = user_read_string(name + 6, c->arg[0], MFD_NAME_MAX + 1);
    if (r < 0)
        return r == ERR_RANGE ? ERR_INVALID : r;
    r = tmpfs_make_nameless(name, &node);
    if (r != OK)
        return r;
    node->sealable = true;
    if (!(c->arg[1] & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)))
        node->seals = LINUX_F_SEAL_SEAL;
    if (c->arg[1] & MFD_NOEXEC_SEAL) {
        node->seals = LINUX_F_SEAL_EXEC;
        node->mode &= ~0111u;
    }
    r = file_open(node, LINUX_O_RDWR | LINUX_O_LARGEFILE, &f);
    node_unref(node);
    return r == OK ? file_install(c->task, f, c->arg[1] & MFD_CLOEXEC) : r;
}

/* What is written is where it will stay. */
long sys_sync(struct call *c)
{
    (void)c;
    foreign_sync_all(NULL);
    return 0;
}

long sys_syncfs(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);

    int r = OK;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (f->flags & LINUX_O_PATH)
        r = LINUX_ERRNO(EBADF);
    else if (f->node)
        r = foreign_sync_all(f->node->fs);
    file_unref(f);
    return r;
}

enum fallocate_mode { FALLOC_KEEP_SIZE = 1, FALLOC_PUNCH_HOLE = 2, FALLOC_ZERO_RANGE = 16 };

/* Holes keep the size; so may ranges of zeroes. */
static bool mode_known(uint64_t mode)
{
    return (mode & ~(uint64_t)FALLOC_KEEP_SIZE) == 0 ||
           mode == (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE) ||
           (mode & ~(uint64_t)FALLOC_KEEP_SIZE) == FALLOC_ZERO_RANGE;
}

static long check_range(const struct file *f, int64_t from, int64_t size, uint64_t mode)
{
    int64_t end;

    if (from < 0 || size <= 0)
        return ERR_INVALID;
    if (!mode_known(mode))
        return LINUX_ERRNO(EOPNOTSUPP);
    if (!file_writable(f))
        return LINUX_ERRNO(EBADF);
    if (!f->node)
        return LINUX_ERRNO(ESPIPE);
    if (!node_is_file(f->node) || !f->node->ops->resize)
        return LINUX_ERRNO(ENODEV);
    return __builtin_add_overflow(from, size, &end) ? LINUX_ERRNO(EFBIG) : OK;
}

/* The size grows; what lies between is filled when it is written. */
long sys_fallocate(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    uint64_t mode = c->arg[1], from = c->arg[2], size = c->arg[3];
    struct node *n;
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    n = f->node;
    r = check_range(f, (int64_t)from, (int64_t)size, mode);
    if (r == OK && (mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)))
        r = n->ops->zero ? n->ops->zero(n, from, size) : LINUX_ERRNO(EOPNOTSUPP);
    if (r == OK && !(mode & FALLOC_KEEP_SIZE) && from + size > node_size(n))
        r = node_resize(n, from + size);
    file_unref(f);
    return r;
}
