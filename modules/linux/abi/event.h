/*
 * event.h: numbers and structures of Linux's event files: eventfd, timerfd, signalfd, epoll.
 */
#pragma once

#include <stdint.h>

#include "modules/linux/abi/fs.h"

#define LINUX_EFD_SEMAPHORE 1u

enum { LINUX_TFD_TIMER_ABSTIME = 1, LINUX_TFD_TIMER_CANCEL_ON_SET = 2 };


struct linux_signalfd_siginfo {
    uint32_t signo;
    int32_t error;
    int32_t code;
    uint32_t pid;
    uint32_t uid;
    int32_t fd;
    uint32_t tid;
    uint32_t band;
    uint32_t overrun;
    uint32_t trap;
    int32_t status;
    int32_t value_int;
    uint64_t value;
    uint64_t user_time;
    uint64_t system_time;
    uint64_t address;
    uint8_t pad[48];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "signalfd_siginfo layout");

enum { LINUX_EPOLL_CTL_ADD = 1, LINUX_EPOLL_CTL_DEL = 2, LINUX_EPOLL_CTL_MOD = 3 };

#define LINUX_EPOLLEXCLUSIVE (1u << 28)
#define LINUX_EPOLLWAKEUP    (1u << 29)
#define LINUX_EPOLLONESHOT   (1u << 30)
#define LINUX_EPOLLET        (1u << 31)

struct linux_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
_Static_assert(sizeof(struct linux_epoll_event) == 12, "epoll_event layout");
