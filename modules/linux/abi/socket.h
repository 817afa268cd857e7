/*
 * socket.h: numbers and structures of Linux's socket calls, as far as sockets of one machine need
 * them.
 */
#pragma once

#include <stdint.h>

enum { LINUX_AF_UNSPEC = 0, LINUX_AF_UNIX = 1, LINUX_AF_INET = 2, LINUX_AF_INET6 = 10 };
enum { LINUX_SOCK_STREAM = 1, LINUX_SOCK_DGRAM = 2, LINUX_SOCK_RAW = 3, LINUX_SOCK_SEQPACKET = 5 };
#define LINUX_SOCK_TYPE_MASK 0xfu
enum { LINUX_SHUT_RD = 0, LINUX_SHUT_WR = 1, LINUX_SHUT_RDWR = 2 };

enum {
    LINUX_MSG_OOB = 0x1,
    LINUX_MSG_PEEK = 0x2,
    LINUX_MSG_CTRUNC = 0x8,
    LINUX_MSG_TRUNC = 0x20,
    LINUX_MSG_DONTWAIT = 0x40,
    LINUX_MSG_WAITALL = 0x100,
    LINUX_MSG_NOSIGNAL = 0x4000,
    LINUX_MSG_WAITFORONE = 0x10000,
    LINUX_MSG_CMSG_CLOEXEC = 0x40000000,
};

#define LINUX_SOL_SOCKET 1
enum {
    LINUX_SO_REUSEADDR = 2,
    LINUX_SO_TYPE = 3,
    LINUX_SO_ERROR = 4,
    LINUX_SO_BROADCAST = 6,
    LINUX_SO_SNDBUF = 7,
    LINUX_SO_RCVBUF = 8,
    LINUX_SO_KEEPALIVE = 9,
    LINUX_SO_LINGER = 13,
    LINUX_SO_REUSEPORT = 15,
    LINUX_SO_PASSCRED = 16,
    LINUX_SO_PEERCRED = 17,
    LINUX_SO_RCVTIMEO = 20,
    LINUX_SO_SNDTIMEO = 21,
    LINUX_SO_ACCEPTCONN = 30,
    LINUX_SO_PROTOCOL = 38,
    LINUX_SO_DOMAIN = 39,
};
enum { LINUX_SCM_RIGHTS = 1, LINUX_SCM_CREDENTIALS = 2 };
#define LINUX_SCM_MAX_FD 253u
#define LINUX_SOMAXCONN  4096

#define LINUX_UNIX_PATH_MAX 108u

struct linux_sockaddr_un {
    uint16_t family;
    char path[LINUX_UNIX_PATH_MAX];
};

struct linux_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

struct linux_msghdr {
    uint64_t name;
    uint32_t name_size;
    uint32_t pad;
    uint64_t parts;
    uint64_t part_count;
    uint64_t control;
    uint64_t control_size;
    uint32_t flags;
    uint32_t pad2;
};
_Static_assert(sizeof(struct linux_msghdr) == 56, "msghdr layout");

struct linux_mmsghdr {
    struct linux_msghdr header;
    uint32_t size;
    uint32_t pad;
};

struct linux_cmsghdr {
    uint64_t size; /* with this header */
    int32_t level;
    int32_t type;
};
