DIR := tests/vm/guest/t_jobs
NAME := t_jobs
SRCS := t_jobs.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
