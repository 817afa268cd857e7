DIR := lib/crc32c
SRCS := crc32c.c
HOT := crc32c.c
NEEDS :=
include tools/build/library.mk
