DIR := kernel/lib
SRCS := string.c status.c random.c log.c
NEEDS := lib/chacha20 lib/format
include tools/build/nucleus.mk
