/*
 * status.c: errors as programs see them.
 */
#include "malvdev.h"
#include "modules/linux/include/linux_errno.h"

long malv_errno(int status)
{
    switch (status) {
    case ERR_LIMIT:
        return LINUX_ERRNO(ENOSPC);
    case ERR_RANGE:
        return LINUX_ERRNO(E2BIG);
    case ERR_LOST:
        return LINUX_ERRNO(ENODEV);
    case ERR_IO:
        return LINUX_ERRNO(EIO);
    case ERR_BUILD:
        return LINUX_ERRNO(ENOEXEC);
    case ERR_TIMED_OUT:
        return LINUX_ERRNO(ETIME);
    case ERR_UNSUPPORTED:
        return LINUX_ERRNO(EOPNOTSUPP);
    default:
        return status;
    }
}

long malv_errno_of_device(uint32_t vgpgpu_status)
{
    if (vgpgpu_status == VGPGPU_ERR_RANGE)
        return LINUX_ERRNO(EINVAL);
    return malv_errno(gpu_status(vgpgpu_status));
}
