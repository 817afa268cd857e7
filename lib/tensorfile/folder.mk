DIR := lib/tensorfile
SRCS := tensorfile.c
NEEDS := lib/crc32
include tools/build/library.mk
