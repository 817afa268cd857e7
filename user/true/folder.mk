DIR := user/true
NAME := true
SRCS := true.S
NEEDS :=
LIBS := -nostartfiles -nostdlib
include tools/build/guest-program.mk
