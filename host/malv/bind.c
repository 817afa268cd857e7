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
    message("--bind takes a folder below the machine's root, not \"%s\"; --root gives it another "
            "root",
            guest);
    return false;
}

static const char *find_host(const char *host)
{
    struct stat status;
    char *path = realpath(host, NULL);
    if (!path || stat(path, &status)) {
        message("--bind %s: %s", host, strerror(errno));
        free(path);
        return NULL;
    }
    if (!S_ISDIR(status.st_mode)) {
        message("--bind takes a folder of the host; %s is none: bind the one that it lies in",
                host);
        free(path);
        return NULL;
    }
    return path;
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
    out->host = check_guest(out->guest) ? find_host(copy) : NULL;
    if (!out->host)
        free(copy);
    return out->host;
}
