/*
 * opencl.h: just enough of the build machine's OpenCL to run kernels in a test. Every error ends
 * the test that is running.
 */
#pragma once

#include <CL/cl.h>
#include <stddef.h>

struct opencl {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue; /* in order */
    cl_program program;
};

/* Opens the first device there is and builds `bytes` bytes of source on it; a test prints the log.
 */
void opencl_open(struct opencl *opencl, const char *source, size_t bytes);
void opencl_close(struct opencl *opencl);

/* A buffer, with `contents` in it unless that is NULL. Ended with clReleaseMemObject. */
cl_mem opencl_buffer(struct opencl *opencl, size_t bytes, const void *contents);

/* An argument as clSetKernelArg takes it. */
struct opencl_arg {
    size_t size;
    const void *value;
};

/* Queues a kernel over `dimensions` extents with all its arguments. */
void opencl_launch(struct opencl *opencl, const char *name, cl_uint dimensions,
                   const size_t *global, const struct opencl_arg *args, cl_uint arg_count);

/* Waits for all that was queued, then reads a buffer. */
void opencl_read(struct opencl *opencl, cl_mem buffer, size_t bytes, void *contents);
