/*
 * opencl.c: OpenCL for tests.
 */
#include "opencl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void log_print(const struct opencl *opencl)
{
    static char log[16384];
    size_t bytes = 0;
    clGetProgramBuildInfo(opencl->program, opencl->device, CL_PROGRAM_BUILD_LOG, sizeof(log) - 1,
                          log, &bytes);
    fprintf(stderr, "%s\n", log);
}

void opencl_open(struct opencl *opencl, const char *source, size_t bytes)
{
    cl_platform_id platform;
    cl_int error;
    memset(opencl, 0, sizeof(*opencl));
    assert_int_equal(clGetPlatformIDs(1, &platform, NULL), CL_SUCCESS);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &opencl->device, NULL),
                     CL_SUCCESS);
    opencl->context = clCreateContext(NULL, 1, &opencl->device, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    opencl->queue = clCreateCommandQueue(opencl->context, opencl->device, 0, &error);
    assert_int_equal(error, CL_SUCCESS);
    opencl->program = clCreateProgramWithSource(opencl->context, 1, &source, &bytes, &error);
    assert_int_equal(error, CL_SUCCESS);
    error = clBuildProgram(opencl->program, 1, &opencl->device, "", NULL, NULL);
    if (error != CL_SUCCESS) {
        log_print(opencl);
    }
    assert_int_equal(error, CL_SUCCESS);
}

void opencl_close(struct opencl *opencl)
{
    clReleaseProgram(opencl->program);
    clReleaseCommandQueue(opencl->queue);
    clReleaseContext(opencl->context);
}

cl_mem opencl_buffer(struct opencl *opencl, size_t bytes, const void *contents)
{
    cl_int error;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (contents != NULL ? CL_MEM_COPY_HOST_PTR : 0);
    cl_mem buffer = clCreateBuffer(opencl->context, flags, bytes, (void *)contents, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

void opencl_launch(struct opencl *opencl, const char *name, cl_uint dimensions,
                   const size_t *global, const struct opencl_arg *args, cl_uint arg_count)
{
    cl_int error;
    cl_uint arg_count_built = 0;
    cl_kernel kernel = clCreateKernel(opencl->program, name, &error);
    assert_int_equal(error, CL_SUCCESS);
    clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof(arg_count_built), &arg_count_built, NULL);
    assert_int_equal(arg_count_built, arg_count);
    for (cl_uint i = 0; i < arg_count; i++) {
        assert_int_equal(clSetKernelArg(kernel, i, args[i].size, args[i].value), CL_SUCCESS);
    }
    assert_int_equal(clEnqueueNDRangeKernel(opencl->queue, kernel, dimensions, NULL, global, NULL,
                                            0, NULL, NULL),
                     CL_SUCCESS);
    clReleaseKernel(kernel);
}

void opencl_read(struct opencl *opencl, cl_mem buffer, size_t bytes, void *contents)
{
    assert_int_equal(
        clEnqueueReadBuffer(opencl->queue, buffer, CL_TRUE, 0, bytes, contents, 0, NULL, NULL),
        CL_SUCCESS);
}
