DIR := lib/treap
SRCS := treap.c
NEEDS :=
include tools/build/library.mk
