/*
 * status.c: names for the results of types.h. Any context.
 */
#include <microlake/types.h>

static const char *const names[] = {
    [OK] = "ok",
    [-ERR_NO_MEMORY] = "no memory",
    [-ERR_INVALID] = "invalid argument",
    [-ERR_NOT_FOUND] = "not found",
    [-ERR_EXISTS] = "exists already",
    [-ERR_BUSY] = "busy",
    [-ERR_ACCESS] = "access denied",
    [-ERR_FAULT] = "bad address",
    [-ERR_RANGE] = "out of range",
    [-ERR_TIMED_OUT] = "timed out",
    [-ERR_INTERRUPTED] = "interrupted",
    [-ERR_UNSUPPORTED] = "unsupported",
    [-ERR_BAD_FORMAT] = "bad format",
    [-ERR_AGAIN] = "would block",
    [-ERR_LIMIT] = "limit reached",
    [-ERR_LOST] = "connection lost",
    [-ERR_IO] = "input/output error",
    [-ERR_BUILD] = "build failed",
};

const char *status_name(int status)
{
    if (status > 0 || status <= -(int)ARRAY_SIZE(names))
        return "unknown status";
    return names[-status];
}
