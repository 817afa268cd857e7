DIR := host/malv
NAME := malv
SRCS := main.c options.c locate.c image.c bind.c bootline.c child.c gpu.c kvm.c qemu.c frames.c outgoing.c console.c report.c \
  run.c terminal.c meeting.c owner.c policy.c
NEEDS := lib/erofs lib/hostrun
include tools/build/host-program.mk
