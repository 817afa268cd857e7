DIR := tests/unit/tty
NAME := tty
SRCS := tty_test.c
COVERS := $(addprefix modules/linux/tty/,line.c line_edit.c line_out.c bytes.c)
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
