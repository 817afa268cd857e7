# Memory: frames, heap, kernel mappings, memory objects, address spaces, faults, user access.
DIR := kernel/mm
SRCS := frame.c heap.c kva.c memobj.c aspace.c fault.c large.c reclaim.c user_access.c
HOT := frame.c heap.c fault.c user_access.c
NEEDS := lib/treap
include tools/build/nucleus.mk
