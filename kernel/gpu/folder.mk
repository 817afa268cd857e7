DIR := kernel/gpu
SRCS := device.c context.c object.c memory.c submit.c fence.c table.c residency.c decide.c
NEEDS := lib/gpucmd
include tools/build/nucleus.mk
