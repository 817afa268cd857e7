DIR := lib/kmodfile
SRCS := kmodfile.c link.c manifest.c
HOT := link.c
NEEDS :=
include tools/build/library.mk
