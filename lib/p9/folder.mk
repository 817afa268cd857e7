DIR := lib/p9
SRCS := p9.c
NEEDS :=
include tools/build/library.mk
