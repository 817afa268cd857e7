# A folder under lib/, or of a module by itself: compiled into whoever names it in NEEDS, in that one's flavor. For the kernel, HOT
# sources are compiled for speed, VECTOR sources for speed and with vector registers; who calls those does
# it between cpu_vector_begin() and cpu_vector_end(). They align the stack themselves: the kernel's is
# aligned to 8 only.
SRCS_$(DIR) := $(addprefix $(DIR)/,$(SRCS))
NEEDS_$(DIR) := $(NEEDS)
DEPS += $(call deps_of,$(foreach f,k h s,$(call objects,$(f),$(SRCS_$(DIR)))))
$(call objects,k,$(addprefix $(DIR)/,$(HOT))): EXTRA_CFLAGS := -O2
$(call objects,k,$(addprefix $(DIR)/,$(VECTOR))): CFLAGS_k := $(CFLAGS_kv) -mstackrealign
DIR :=
HOT :=
VECTOR :=
SRCS :=
NEEDS :=
LIBS :=
