# Handles and ports: objects by number with rights, and calls between threads (docs/ports.md).
DIR := kernel/port
SRCS := slots.c handle.c port.c
HOT := slots.c handle.c port.c
NEEDS :=
include tools/build/nucleus.mk
