DIR := user/libmalv
SRCS := device.c buffer.c program.c batch.c queue.c error.c
NEEDS :=
include tools/build/library.mk
