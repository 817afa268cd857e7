DIR := host/kmodsign
NAME := kmodsign
SRCS := main.c
NEEDS := lib/ed25519 lib/ed25519_sign host/files
include tools/build/host-program.mk
