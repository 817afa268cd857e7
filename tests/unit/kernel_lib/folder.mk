# The kernel's own string and format functions get other names, so that they can be compared with the
# build machine's.
KERNEL_LIB_NAMES := memcpy memmove memset memcmp strlen strnlen strcmp strncmp strchr strrchr strlcpy \
  snprintf vsnprintf
DIR := tests/unit/kernel_lib
NAME := kernel_lib
SRCS := kernel_lib_test.c string_test.c random_test.c
COVERS := $(addprefix kernel/lib/,string.c status.c)
NEEDS := lib/chacha20 lib/format
EXTRA := -Ikernel/include -Ikernel/arch/x86/include -fno-builtin $(foreach n,$(KERNEL_LIB_NAMES),-D$(n)=kernel_$(n))
include tools/build/unit-test.mk
