# What gpud on CUDA takes beside CUDA called directly: build/tests/cuda_figures for a host with a GPU, and the same
# under sanitizers over the stand-in, so that the program itself is tried.
DIR := tests/cuda-figures
SRCS := figures.c direct.c
CUDA_FIGURES_SRCS := $(addprefix $(DIR)/,$(SRCS)) host/gpud/cuda_api.c $(SRCS_bench/native) $(SRCS_tests/vhost-front)
CUDA_FIGURES_OBJS := $(call objects,h,$(CUDA_FIGURES_SRCS))
CUDA_FIGURES_ASAN_OBJS := $(call objects,s,$(CUDA_FIGURES_SRCS))
$(BUILD)/tests/cuda_figures: $(CUDA_FIGURES_OBJS) | $(BUILD)/host/gpud
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $(CUDA_FIGURES_OBJS) -lpthread -ldl
$(BUILD)/tests/cuda_figures_stand_in: $(CUDA_FIGURES_ASAN_OBJS) $(CUDA_STAND_IN_LIBS) | $(BUILD)/tests/gpud-cuda
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $(CUDA_FIGURES_ASAN_OBJS) $(CUDA_STAND_IN_LINK) -lpthread
TESTS += $(BUILD)/tests/cuda_figures $(BUILD)/tests/cuda_figures_stand_in
DEPS += $(call deps_of,$(CUDA_FIGURES_OBJS) $(CUDA_FIGURES_ASAN_OBJS))
DIR :=
SRCS :=
