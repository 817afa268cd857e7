DIR := lib/chacha20
SRCS := chacha20.c generator.c
NEEDS :=
include tools/build/library.mk
