# /dev/malv0 by its bare ABI, good calls and bad ones; tests/vm/gpu runs it in a machine.
DIR := tests/malvdev
NAME := malvdev_test
INSTALL := none
SRCS := main.c objects.c work.c processes.c leaks.c managed.c notify.c
NEEDS := lib/gpucmd
include tools/build/guest-program.mk
