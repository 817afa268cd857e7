DIR := lib/kmodfile
SRCS := kmodfile.c relocate.c manifest.c
NEEDS :=
include tools/build/library.mk
