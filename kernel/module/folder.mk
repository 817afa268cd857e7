DIR := kernel/module
SRCS := exports.c image.c module.c symbols.c table.c
NEEDS := lib/kmodfile
include tools/build/nucleus.mk
