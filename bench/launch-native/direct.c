/* direct.c: see direct.h. */
#include "direct.h"

#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>

static cl_context context;
static cl_command_queue queue;
static cl_program program;
static cl_kernel kernel;

static void check(cl_int error, const char *what)
{
    if (!error)
        return;
    fprintf(stderr, "launch-native: %s: OpenCL error %d: is pocl-opencl-icd installed?\n", what,
            error);
    exit(1);
}

static cl_device_id device_find(void)
{
    static const cl_device_type order[] = {CL_DEVICE_TYPE_GPU, CL_DEVICE_TYPE_ACCELERATOR,
                                           CL_DEVICE_TYPE_ALL};
    cl_platform_id platforms[16];
    cl_uint count = 0;
    cl_device_id device;
    check(clGetPlatformIDs(16, platforms, &count), "clGetPlatformIDs");
    for (unsigned o = 0; o < sizeof(order) / sizeof(order[0]); o++)
        for (cl_uint p = 0; p < count && p < 16; p++)
            if (clGetDeviceIDs(platforms[p], order[o], 1, &device, NULL) == CL_SUCCESS)
                return device;
    check(CL_DEVICE_NOT_FOUND, "clGetDeviceIDs");
    return NULL;
}

void direct_open(void)
{
    const char *source = "kernel void empty(void) {}";
    cl_device_id device = device_find();
    cl_int error;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    check(error, "clCreateContext");
    queue = clCreateCommandQueue(context, device, 0, &error);
    check(error, "clCreateCommandQueue");
    program = clCreateProgramWithSource(context, 1, &source, NULL, &error);
    check(error, "clCreateProgramWithSource");
    check(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
    kernel = clCreateKernel(program, "empty", &error);
    check(error, "clCreateKernel");
}

void direct_run(unsigned count)
{
    size_t one = 1;
    for (unsigned i = 0; i < count; i++)
        check(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
    check(clFinish(queue), "clFinish");
}

void direct_close(void)
{
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    clReleaseCommandQueue(queue);
    clReleaseContext(context);
}
