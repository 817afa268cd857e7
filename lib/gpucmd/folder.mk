DIR := lib/gpucmd
SRCS := gpucmd.c names.c
NEEDS :=
include tools/build/library.mk
