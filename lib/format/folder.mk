DIR := lib/format
SRCS := format.c
NEEDS :=
include tools/build/library.mk
