DIR := tests/vm/guest/t_flight
NAME := t_flight
SRCS := t_flight.c
NEEDS :=
INSTALL := none
include tools/build/guest-program.mk
