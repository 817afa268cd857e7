DIR := user/mlctl
NAME := mlctl
SRCS := main.c commands.c classes.c
NEEDS :=
include tools/build/guest-program.mk
