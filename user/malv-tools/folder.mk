# malv-info and malv-smoke: one program in the boot archive, under two names.
DIR := user/malv-tools
NAME := malv-info
SRCS := main.c info.c info_json.c smoke.c smoke_memory.c smoke_work.c
NEEDS := user/libmalv
GUEST_LINKS += bin/malv-smoke:malv-info
include tools/build/guest-program.mk
