DIR := lib/elf
SRCS := elf.c
NEEDS :=
include tools/build/library.mk
