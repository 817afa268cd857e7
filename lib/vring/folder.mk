DIR := lib/vring
SRCS := vring.c
NEEDS :=
include tools/build/library.mk
