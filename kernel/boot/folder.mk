# Start-up: options, the boot archive, the order of things, and the end.
DIR := kernel/boot
SRCS := main.c options.c archive.c host.c
NEEDS := lib/cpio
include tools/build/nucleus.mk
