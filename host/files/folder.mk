DIR := host/files
SRCS := files.c
include tools/build/library.mk
