# The processor: start, traps, page tables, interrupt controllers, clocks of the machine.
DIR := kernel/arch/x86
SRCS := start.S entry.S pvh.c cpu.c vector.c trap.c backtrace.c paging.c tlb.c apic.c irq.c mp.c smp.c \
  serial.c machine.c
HOT := trap.c
NEEDS := lib/treap lib/uart
include tools/build/nucleus.mk
