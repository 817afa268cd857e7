DIR := lib/cpio
SRCS := cpio.c
NEEDS :=
include tools/build/library.mk
