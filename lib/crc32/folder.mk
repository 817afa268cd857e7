DIR := lib/crc32
SRCS := crc32.c
NEEDS :=
include tools/build/library.mk
