/*
 * locate.c: finds QEMU and the files of the build from malv's own path.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "locate.h"
#include "message.h"

bool locate_beside(const char *name, char path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length <= 0)
        return false;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    for (; slash && !strncmp(name, "../", 3); name += 3) {
        *slash = '\0';
        slash = strrchr(self, '/');
    }
    if (!slash)
        return false;
    *slash = '\0';
    return snprintf(path, PATH_MAX, "%s/%s", self, name) < PATH_MAX;
}

static bool word_add(struct qemu_program *out, const char *folder, const char *rest)
{
    unsigned count = 0;
    while (out->words[count])
        count++;
    if (count == QEMU_WORDS_MAX)
        return false;
    if (snprintf(out->text[count], PATH_MAX, "%s%s", folder, rest) >= PATH_MAX)
        return false;
    out->words[count] = out->text[count];
    return true;
}

/* QEMU in place: its own loader is started directly, a shell in between would cost milliseconds. */
static bool unpacked_qemu(struct qemu_program *out)
{
    char root[PATH_MAX];
    if (!locate_beside("../tools/qemu/root", root) || access(root, X_OK))
        return false;
    return word_add(out, root, "/usr/lib64/ld-linux-x86-64.so.2") &&
           word_add(out, "--library-path", "") &&
           word_add(out, root, "/usr/lib/x86_64-linux-gnu") &&
           word_add(out, root, "/usr/bin/qemu-system-x86_64") && word_add(out, "-L", "") &&
           word_add(out, root, "/usr/share/qemu") && word_add(out, "-L", "") &&
           word_add(out, root, "/usr/share/seabios");
}

static bool system_qemu(struct qemu_program *out)
{
    const char *rest = getenv("PATH");
    while (rest && *rest) {
        size_t length = strcspn(rest, ":");
        char path[PATH_MAX];
        if (length && length < PATH_MAX - 32) {
            snprintf(path, sizeof(path), "%.*s/qemu-system-x86_64", (int)length, rest);
            if (!access(path, X_OK))
                return word_add(out, path, "");
        }
        rest += length + (rest[length] == ':');
    }
    return false;
}

bool locate_qemu(struct qemu_program *out)
{
    const char *asked = getenv("MALV_QEMU");
    out->words[0] = NULL;
    memset(out->words, 0, sizeof(out->words));
    if (asked && *asked) {
        if (!access(asked, X_OK) && word_add(out, asked, ""))
            return true;
        message("MALV_QEMU names %s, which can't be run", asked);
        return false;
    }
    if (unpacked_qemu(out))
        return true;
    memset(out->words, 0, sizeof(out->words));
    if (system_qemu(out))
        return true;
    message("there is no QEMU: run tools/setup, or set MALV_QEMU to a qemu-system-x86_64 of 10.2 "
            "or newer");
    return false;
}
