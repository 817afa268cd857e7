DIR := lib/chacha20
SRCS := chacha20.c
NEEDS :=
include tools/build/library.mk
