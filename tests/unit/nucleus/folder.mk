# The nucleus's portable parts, each with stand-ins for what is around it: include/ holds headers that
# take in the nucleus's own and replace what needs the machine. EXTRA := $(STAND_INS) puts them first.
# The rig takes frame.c in (frame_rig.h).
DIR := tests/unit/nucleus
NAME := frame
SRCS := frame_test.c frame_rig.c stand_ins.c
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := heap
SRCS := heap_test.c frame_rig.c stand_ins.c
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := boot_options
SRCS := options_test.c stand_ins.c
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := boot_archive
SRCS := archive_test.c stand_ins.c
NEEDS := lib/cpio
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := mp
SRCS := mp_test.c firmware.c stand_ins.c
COVERS := kernel/arch/x86/mp.c
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := timer
SRCS := timer_test.c stand_ins.c
COVERS := kernel/time/timer.c
NEEDS := lib/treap
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := clock
SRCS := clock_test.c stand_ins.c
COVERS := kernel/time/time.c
EXTRA := $(STAND_INS)
include tools/build/unit-test.mk

# A guarded call comes back by longjmp(); in the nucleus all registers that matter are kept.
DIR := tests/unit/nucleus
NAME := sched
SRCS := sched_test.c sched_rig.c stand_ins.c
COVERS := kernel/thread/sched.c kernel/thread/judge.c kernel/thread/round_robin.c kernel/policy/policy.c kernel/policy/call.c
EXTRA := $(STAND_INS) -Wno-clobbered
include tools/build/unit-test.mk

DIR := tests/unit/nucleus
NAME := policy
SRCS := policy_test.c stand_ins.c
COVERS := kernel/policy/policy.c kernel/policy/call.c
EXTRA := $(STAND_INS) -Wno-clobbered
include tools/build/unit-test.mk
