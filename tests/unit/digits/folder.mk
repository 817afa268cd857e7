DIR := tests/unit/digits
NAME := digits_cpu
SRCS := cpu_test.c
COVERS := $(addprefix user/examples/digits/,cpu.c model.c message.c midway.c)
NEEDS := lib/tensorfile
LIBS := -lm -lpthread
include tools/build/unit-test.mk

# The kernels, run by the build machine's OpenCL without a machine in between.
DIR := tests/unit/digits
NAME := digits_kernels
SRCS := kernels_test.c opencl.c
COVERS := $(addprefix user/examples/digits/,kernels.c cpu.c model.c message.c)
NEEDS := lib/tensorfile
LIBS := -lm -lpthread -lOpenCL
$(BUILD)/obj/test-digits_kernels/user/examples/digits/kernels.c.o: user/examples/digits/kernels.cl
include tools/build/unit-test.mk
