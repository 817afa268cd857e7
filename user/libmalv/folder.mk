DIR := user/libmalv
SRCS := device.c buffer.c program.c batch.c queue.c error.c
NEEDS := lib/gpucmd
include tools/build/library.mk
