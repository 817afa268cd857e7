DIR := modules/template
NAME := template
SRCS := template.c
NEEDS :=
include tools/build/kmod.mk
