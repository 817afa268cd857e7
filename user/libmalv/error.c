/*
 * error.c: errors in words.
 */
#include "user/libmalv/malv.h"

#include <errno.h>

const char *malv_error_text(int error)
{
    switch (-error) {
    case 0:
        return "no error";
    case EINVAL:
        return "a malformed request";
    case ENOENT:
        return "no such file or object";
    case ENOSPC:
        return "out of objects on the device";
    case ENOMEM:
        return "out of memory";
    case E2BIG:
        return "over a limit of the device";
    case ERANGE:
        return "outside the buffer";
    case ENODEV:
    case ENXIO:
        return "the device is gone, or there is none";
    case EIO:
        return "the device failed the work";
    case ETIME:
        return "the device's time limit ended the work";
    case ENOEXEC:
        return "the program does not build";
    case ETIMEDOUT:
        return "the work had not ended in time";
    case EOPNOTSUPP:
        return "not supported by the device's back end";
    case EPROTONOSUPPORT:
        return "not a MaLV device, or one of another version";
    case EACCES:
    case EPERM:
        return "permission denied";
    case EBUSY:
        return "the device is busy";
    case EFAULT:
        return "a bad address";
    default:
        return "an unexpected error";
    }
}
