DIR := kernel/module
SRCS := exports.c image.c module.c signature.c symbols.c table.c
HOT := image.c
NEEDS := lib/ed25519 lib/kmodfile
include tools/build/nucleus.mk
