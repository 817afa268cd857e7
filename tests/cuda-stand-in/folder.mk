# A stand-in for CUDA's three libraries, as of a driver of CUDA 12 (of a later CUDA, the host may have the real ones),
# and a gpud under sanitizers that is linked with it: opened by their names the libraries are those that are there already. No other gpud can be given it by an environment.
CUDA_STAND_IN := $(BUILD)/tests/cuda-stand-in
$(BUILD)/obj/stand-in/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_s) -fPIC -c $< -o $@
stand_in_objs = $(patsubst %,$(BUILD)/obj/stand-in/tests/cuda-stand-in/%.c.o,$(1))
# $(call stand_in,LIBRARY,SOURCES,LIBRARIES)
define stand_in
$(CUDA_STAND_IN)/$(1): $(call stand_in_objs,$(2)) $(addprefix $(CUDA_STAND_IN)/,$(3))
	@mkdir -p $$(@D)
	$$(Q)$(CC) -shared -fsanitize=address,undefined -Wl,-soname,$(1) -o $$@ $$^ -lpthread
DEPS += $(call deps_of,$(call stand_in_objs,$(2)))
endef
$(eval $(call stand_in,libcuda.so.1,driver start streams kernels))
$(eval $(call stand_in,libnvrtc.so.12,nvrtc,libcuda.so.1))
$(eval $(call stand_in,libcublas.so.12,cublas,libcuda.so.1))
CUDA_STAND_IN_LIBS := $(addprefix $(CUDA_STAND_IN)/,libcuda.so.1 libnvrtc.so.12 libcublas.so.12)
# For who is linked with it, in build/tests.
CUDA_STAND_IN_LINK := -Wl,--no-as-needed $(CUDA_STAND_IN_LIBS) -Wl,--as-needed -Wl,-rpath,'$$ORIGIN/cuda-stand-in'
$(BUILD)/tests/gpud-cuda: $(GPUD_ASAN_OBJS) $(CUDA_STAND_IN_LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $(GPUD_ASAN_OBJS) $(CUDA_STAND_IN_LINK) -lseccomp -lpthread
# The same with the driver's stand-in alone, for a host that has the other two.
CUDA_DRIVER_LINK := $(subst $(CUDA_STAND_IN_LIBS),$(firstword $(CUDA_STAND_IN_LIBS)),$(CUDA_STAND_IN_LINK))
$(BUILD)/tests/gpud-cuda-driver: $(GPUD_ASAN_OBJS) $(CUDA_STAND_IN_LIBS)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $(GPUD_ASAN_OBJS) $(CUDA_DRIVER_LINK) -lseccomp -lpthread
TESTS += $(BUILD)/tests/gpud-cuda $(BUILD)/tests/gpud-cuda-driver
