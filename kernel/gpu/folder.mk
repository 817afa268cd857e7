DIR := kernel/gpu
SRCS := device.c context.c object.c memory.c submit.c fence.c table.c
NEEDS :=
include tools/build/nucleus.mk
