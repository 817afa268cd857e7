# What a decision of sched_burst costs: `malv run --icount --cpus 1 --initrd build/boot-test.cpio
# --append "modules=sched_costs tsc_khz=1000000" -- true`; bench/sched.py runs it.
DIR := tests/sched_costs
NAME := sched_costs
SRCS := main.c
NEEDS := modules/mlaas/sched_burst modules/mlaas/sched_fair modules/mlaas/features
INSTALL := none
include tools/build/kmod.mk
