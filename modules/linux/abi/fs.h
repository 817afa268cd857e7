/*
 * fs.h: numbers and structures of Linux's file calls on x86-64.
 */
#pragma once

#include <stdint.h>

#define LINUX_PATH_MAX 4096u
#define LINUX_NAME_MAX 255u

enum {
    LINUX_O_ACCMODE = 03,
    LINUX_O_RDONLY = 00,
    LINUX_O_WRONLY = 01,
    LINUX_O_RDWR = 02,
    LINUX_O_CREAT = 0100,
    LINUX_O_EXCL = 0200,
    LINUX_O_NOCTTY = 0400,
    LINUX_O_TRUNC = 01000,
    LINUX_O_APPEND = 02000,
    LINUX_O_NONBLOCK = 04000,
    LINUX_O_DIRECT = 040000,
    LINUX_O_LARGEFILE = 0100000,
    LINUX_O_DIRECTORY = 0200000,
    LINUX_O_NOFOLLOW = 0400000,
    LINUX_O_NOATIME = 01000000,
    LINUX_O_CLOEXEC = 02000000,
    LINUX_O_PATH = 010000000,
    LINUX_O_TMPFILE = 020000000,
};

#define LINUX_AT_FDCWD (-100)
enum {
    LINUX_AT_SYMLINK_NOFOLLOW = 0x100,
    LINUX_AT_REMOVEDIR = 0x200,
    LINUX_AT_EACCESS = 0x200,
    LINUX_AT_SYMLINK_FOLLOW = 0x400,
    LINUX_AT_EMPTY_PATH = 0x1000,
};

enum { LINUX_RENAME_NOREPLACE = 1, LINUX_RENAME_EXCHANGE = 2 };

enum {
    LINUX_S_IFMT = 0170000,
    LINUX_S_IFIFO = 0010000,
    LINUX_S_IFCHR = 0020000,
    LINUX_S_IFDIR = 0040000,
    LINUX_S_IFBLK = 0060000,
    LINUX_S_IFREG = 0100000,
    LINUX_S_IFLNK = 0120000,
    LINUX_S_IFSOCK = 0140000,
};

enum { LINUX_DT_FIFO = 1, LINUX_DT_CHR = 2, LINUX_DT_DIR = 4, LINUX_DT_REG = 8, LINUX_DT_LNK = 10 };
enum { LINUX_SEEK_SET = 0, LINUX_SEEK_CUR = 1, LINUX_SEEK_END = 2, LINUX_SEEK_DATA = 3, LINUX_SEEK_HOLE = 4 };
enum { LINUX_R_OK = 4, LINUX_W_OK = 2, LINUX_X_OK = 1 };

enum {
    LINUX_F_DUPFD = 0,
    LINUX_F_GETFD = 1,
    LINUX_F_SETFD = 2,
    LINUX_F_GETFL = 3,
    LINUX_F_SETFL = 4,
    LINUX_F_GETLK = 5,
    LINUX_F_SETLK = 6,
    LINUX_F_SETLKW = 7,
    LINUX_F_OFD_GETLK = 36,
    LINUX_F_OFD_SETLK = 37,
    LINUX_F_OFD_SETLKW = 38,
    LINUX_F_DUPFD_CLOEXEC = 1030,
    LINUX_F_SETPIPE_SZ = 1031,
    LINUX_F_GETPIPE_SZ = 1032,
    LINUX_F_ADD_SEALS = 1033,
    LINUX_F_GET_SEALS = 1034,
};
#define LINUX_FD_CLOEXEC 1

enum {
    LINUX_F_SEAL_SEAL = 1,
    LINUX_F_SEAL_SHRINK = 2,
    LINUX_F_SEAL_GROW = 4,
    LINUX_F_SEAL_WRITE = 8,
    LINUX_F_SEAL_FUTURE_WRITE = 16,
    LINUX_F_SEAL_EXEC = 32,
};
#define SEALS_AGAINST_WRITING ((unsigned)(LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE))

enum { LINUX_CLOSE_RANGE_UNSHARE = 2, LINUX_CLOSE_RANGE_CLOEXEC = 4 };
enum { LINUX_F_RDLCK = 0, LINUX_F_WRLCK = 1, LINUX_F_UNLCK = 2 };
enum { LINUX_LOCK_SH = 1, LINUX_LOCK_EX = 2, LINUX_LOCK_NB = 4, LINUX_LOCK_UN = 8 };

struct linux_flock {
    int16_t type;
    int16_t whence;
    int32_t pad;
    int64_t start;
    int64_t length;
    int32_t pid;
    int32_t pad2;
};
_Static_assert(sizeof(struct linux_flock) == 32, "flock layout");

#define LINUX_TCGETS     0x5401u
#define LINUX_TIOCGWINSZ 0x5413u
#define LINUX_FIONREAD   0x541bu
#define LINUX_FIONBIO    0x5421u

#define LINUX_IOV_MAX 1024u
#define LINUX_RW_MAX  0x7ffff000u /* the most one read or write moves */

struct linux_iovec {
    uint64_t base;
    uint64_t size;
};

struct linux_timespec {
    int64_t sec;
    int64_t nsec;
};

struct linux_stat {
    uint64_t dev;
    uint64_t ino;
    uint64_t nlink;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t pad;
    uint64_t rdev;
    int64_t size;
    int64_t block_size;
    int64_t blocks;
    struct linux_timespec atime, mtime, ctime;
    int64_t reserved[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "stat layout");

struct linux_statx_time {
    int64_t sec;
    uint32_t nsec;
    int32_t reserved;
};

#define LINUX_STATX_BASIC_STATS 0x7ffu

struct linux_statx {
    uint32_t mask;
    uint32_t block_size;
    uint64_t attributes;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;
    uint16_t pad;
    uint64_t ino;
    uint64_t size;
    uint64_t blocks;
    uint64_t attributes_mask;
    struct linux_statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor;
    uint32_t dev_major, dev_minor;
    uint64_t reserved[14];
};
_Static_assert(sizeof(struct linux_statx) == 256, "statx layout");

/* Followed by the name and its NUL; records are padded to 8 bytes. */
struct linux_dirent64 {
    uint64_t ino;
    int64_t next;
    uint16_t size;
    uint8_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct linux_dirent64) == 19, "dirent64 layout");

struct linux_statfs {
    int64_t type;
    int64_t block_size;
    uint64_t blocks, blocks_free, blocks_available;
    uint64_t files, files_free;
    uint64_t id;
    int64_t name_max;
    int64_t fragment_size;
    int64_t flags;
    int64_t reserved[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "statfs layout");

struct linux_pollfd {
    int32_t fd;
    int16_t events;
    int16_t revents;
};

/* posix_fadvise(2) */
enum linux_fadvice {
    LINUX_FADV_NORMAL = 0,
    LINUX_FADV_RANDOM = 1,
    LINUX_FADV_SEQUENTIAL = 2,
    LINUX_FADV_WILLNEED = 3,
    LINUX_FADV_DONTNEED = 4,
    LINUX_FADV_NOREUSE = 5,
};
