DIR := lib/ed25519
SRCS := ed25519.c field.c point.c scalar.c sha512.c
NEEDS :=
include tools/build/library.mk
