DIR := lib/tensorfile
SRCS := tensorfile.c
NEEDS :=
include tools/build/library.mk
