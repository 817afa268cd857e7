DIR := kernel/lib
SRCS := string.c format.c status.c chacha20.c random.c treap.c log.c
NEEDS :=
include tools/build/nucleus.mk
