# Measures launches; only `make bench` puts it into a machine.
DIR := user/bench-launch
NAME := launch_bench
INSTALL := none
SRCS := main.c
NEEDS := user/bench-common user/libmalv
include tools/build/guest-program.mk
