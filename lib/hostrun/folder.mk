DIR := lib/hostrun
SRCS := hostrun.c
NEEDS :=
include tools/build/library.mk
