DIR := lib/kmodfile
SRCS := kmodfile.c relocate.c manifest.c
HOT := $(SRCS)
NEEDS :=
include tools/build/library.mk
