/*
 * opencl_api.h: the OpenCL loader, opened when it is needed, so that gpud starts and says what is
 * missing on a host that has none.
 */
#pragma once

#include <CL/cl.h>

/* clX is called as opencl.X. All are OpenCL 1.2; CreateProgramWithIL (2.1) may be NULL. */
#define OPENCL_FUNCTIONS(X)                                                                        \
    X(GetPlatformIDs)                                                                              \
    X(GetPlatformInfo)                                                                             \
    X(GetDeviceIDs)                                                                                \
    X(GetDeviceInfo)                                                                               \
    X(CreateContext)                                                                               \
    X(ReleaseContext)                                                                              \
    X(CreateCommandQueue)                                                                          \
    X(ReleaseCommandQueue)                                                                         \
    X(CreateBuffer)                                                                                \
    X(CreateSubBuffer)                                                                             \
    X(ReleaseMemObject)                                                                            \
    X(CreateProgramWithSource)                                                                     \
    X(CreateProgramWithBinary)                                                                     \
    X(BuildProgram)                                                                                \
    X(GetProgramInfo)                                                                              \
    X(GetProgramBuildInfo)                                                                         \
    X(ReleaseProgram)                                                                              \
    X(CreateKernel)                                                                                \
    X(ReleaseKernel)                                                                               \
    X(GetKernelInfo)                                                                               \
    X(GetKernelWorkGroupInfo)                                                                      \
    X(GetKernelArgInfo)                                                                            \
    X(SetKernelArg)                                                                                \
    X(EnqueueNDRangeKernel)                                                                        \
    X(EnqueueCopyBuffer)                                                                           \
    X(EnqueueCopyBufferRect)                                                                       \
    X(EnqueueFillBuffer)                                                                           \
    X(EnqueueNativeKernel)                                                                         \
    X(EnqueueMapBuffer)                                                                            \
    X(EnqueueUnmapMemObject)                                                                       \
    X(EnqueueMarkerWithWaitList)                                                                   \
    X(EnqueueBarrierWithWaitList)                                                                  \
    X(CreateUserEvent)                                                                             \
    X(SetUserEventStatus)                                                                          \
    X(SetEventCallback)                                                                            \
    X(ReleaseEvent)                                                                                \
    X(Flush)                                                                                       \
    X(Finish)

typedef cl_program (*opencl_create_program_with_il)(cl_context, const void *, size_t, cl_int *);

struct opencl_api {
#define OPENCL_MEMBER(name) __typeof__(cl##name) *name;
    OPENCL_FUNCTIONS(OPENCL_MEMBER)
#undef OPENCL_MEMBER
    opencl_create_program_with_il CreateProgramWithIL;
};

extern struct opencl_api opencl;

/* Opens the loader once per process. 0, or -1 with one line that says what to install. */
int opencl_load(char *why);
