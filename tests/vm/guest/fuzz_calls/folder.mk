DIR := tests/vm/guest/fuzz_calls
NAME := fuzz_calls
SRCS := main.c watch.c kept.c worker.c calls.c table.c values.c structs.c memory.c stubs.S
NEEDS :=
INSTALL := none
# Its threads share one TLS area, whose address a call under test may change: nothing may read it.
$(BUILD)/obj/h/tests/vm/guest/fuzz_calls/%: EXTRA_CFLAGS := -fno-stack-protector
include tools/build/guest-program.mk
