# Objects, handle tables and parcels, on the build machine; locks and the heap are stood in for.
DIR := tests/unit/handles
NAME := handles
SRCS := handles_test.c slots_test.c stand_ins.c
COVERS := kernel/port/slots.c kernel/port/handle.c
EXTRA := -Ikernel/include
include tools/build/unit-test.mk
