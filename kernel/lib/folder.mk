DIR := kernel/lib
SRCS := string.c format.c status.c random.c treap.c log.c
NEEDS := lib/chacha20
include tools/build/nucleus.mk
