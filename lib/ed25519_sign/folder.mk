DIR := lib/ed25519_sign
SRCS := ed25519_sign.c
NEEDS := lib/ed25519
include tools/build/library.mk
