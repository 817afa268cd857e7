DIR := user/examples/digits
NAME := digits
SRCS := main.c options.c model.c kernels.c gpu.c gpu_pass.c cpu.c midway.c show.c message.c
NEEDS := user/libmalv lib/tensorfile
LIBS := -lm -lpthread
$(BUILD)/obj/h/user/examples/digits/kernels.c.o: user/examples/digits/kernels.cl
GUEST_FILES += share/digits/weights.mtf:user/examples/digits/weights.mtf
GUEST_FILES += share/digits/heldout.mtf:user/examples/digits/heldout.mtf
include tools/build/guest-program.mk
