DIR := host/kmodsign
NAME := kmodsign
SRCS := main.c files.c
NEEDS := lib/ed25519 lib/ed25519_sign
include tools/build/host-program.mk
