/*
 * bind.c: see bind.h.
 */
#include "bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "message.h"

/* Takes ":ro" or ":rw" off the end. */
static bool take_mode(char *text)
{
    size_t length = strlen(text);
    if (length < 3 || (strcmp(text + length - 3, ":ro") && strcmp(text + length - 3, ":rw")))
        return false;
    text[length - 3] = '\0';
    return text[length - 1] == 'o';
}

/* The colon between the two paths: the last before a slash, so that HOST may have others. */
static char *find_colon(char *text)
{
    char *found = NULL;
    for (char *at = text; (at = strchr(at, ':')); at++)
        if (at[1] == '/')
            found = at;
    return found && found > text ? found : NULL;
}

static bool check_guest(const char *guest)
{
    if (guest[strspn(guest, "/.")])
        return true;
    message("--bind takes a place below the machine's root, not \"%s\"; --root gives it another "
            "root",
            guest);
    return false;
}

/* QEMU serves folders: of a file it gets the one that it lies in, and the machine shows the file alone. */
static void split_file(char *path, struct bind *out)
{
    char *slash = strrchr(path, '/');
    out->file = strdup(slash + 1);
    if (slash == path)
        slash++;
    *slash = '\0';
}

static bool find_host(const char *host, struct bind *out)
{
    struct stat status;
    char *path = realpath(host, NULL);
    if (!path || stat(path, &status)) {
        message("--bind %s: %s", host, strerror(errno));
        free(path);
        return false;
    }
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
        message("--bind takes a folder or a file of the host; %s is neither", host);
        free(path);
        return false;
    }
    if (S_ISREG(status.st_mode))
        split_file(path, out);
    out->host = path;
    return true;
}

bool bind_parse(const char *text, struct bind *out)
{
    char *copy = strdup(text);
    if (!copy) {
        message("no memory");
        return false;
    }
    out->read_only = take_mode(copy);
    char *colon = find_colon(copy);
    if (!colon) {
        message("--bind takes HOST:GUEST or HOST:GUEST:ro, GUEST an absolute path in the machine, "
                "not \"%s\"",
                text);
        free(copy);
        return false;
    }
    *colon = '\0';
    out->guest = colon + 1;
    if (check_guest(out->guest) && find_host(copy, out))
        return true;
    free(copy);
    return false;
}
