/*
 * kvm.c: looks for KVM. A /dev/kvm alone says little: in some virtual machines it is there and does
 * not work, but then the processor does not show the feature.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kvm.h"

/* The first processor's flags stand near the beginning. */
static bool processor_shows_it(void)
{
    static char text[8192];
    int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[length < 0 ? 0 : length] = '\0';
    return strstr(text, " vmx") || strstr(text, " svm");
}

const char *kvm_missing(void)
{
    static char why[128];
    if (!processor_shows_it())
        return "/proc/cpuinfo shows neither vmx nor svm";
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return NULL;
    }
    snprintf(why, sizeof(why), "/dev/kvm can't be opened (%s)", strerror(errno));
    return why;
}
