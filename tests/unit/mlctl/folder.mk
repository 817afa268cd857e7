# The write to a policy file is answered as the kernel answers it.
DIR := tests/unit/mlctl
NAME := mlctl
SRCS := mlctl_test.c
COVERS := user/mlctl/classes.c user/mlctl/commands.c
LIBS := -Wl,--wrap=write
include tools/build/unit-test.mk
