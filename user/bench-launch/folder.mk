DIR := user/bench-launch
NAME := launch_bench
SRCS := main.c
NEEDS := user/libmalv
include tools/build/guest-program.mk
