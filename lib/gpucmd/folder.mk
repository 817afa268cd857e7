DIR := lib/gpucmd
SRCS := gpucmd.c
NEEDS :=
include tools/build/library.mk
