DIR := tests/unit/libmalv
NAME := libmalv_batch
SRCS := batch_test.c
NEEDS := user/libmalv
include tools/build/unit-test.mk

# The calls into the kernel are answered by the test itself.
DIR := tests/unit/libmalv
NAME := libmalv_device
SRCS := device_test.c
NEEDS := user/libmalv
LIBS := -Wl,--wrap=open,--wrap=ioctl,--wrap=mmap,--wrap=close
include tools/build/unit-test.mk
