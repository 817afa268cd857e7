DIR := lib/erofs
SRCS := erofs.c directory.c crc32c.c
NEEDS :=
include tools/build/library.mk
