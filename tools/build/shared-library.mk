# A library for programs outside this tree: build/lib/libNAME.so.MAJOR and libNAME.a, of the folder's sources
# and those of its NEEDS, compiled as position-independent code. Programs see what its header declares
# between visibility pragmas, and nothing else. The folder has its own library.mk stanza too.
SHARED_OBJS_$(NAME) := $(call objects,p,$(sort $(addprefix $(DIR)/,$(SRCS)) $(call needs_srcs,$(NEEDS))))
$(BUILD)/lib/lib$(NAME).so.$(MAJOR): $(SHARED_OBJS_$(NAME)) $(DIR)/folder.mk tools/build/shared-library.mk
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -s -Wl,-soname,$(@F) -Wl,-z,defs -o $@ $(filter %.o,$^)
$(BUILD)/lib/lib$(NAME).a: $(SHARED_OBJS_$(NAME)) $(DIR)/folder.mk tools/build/shared-library.mk
	@mkdir -p $(@D)
	$(Q)ld -r -o $@.o $(filter %.o,$^) && objcopy --localize-hidden $@.o
	$(Q)rm -f $@ && ar rcsD $@ $@.o && rm $@.o
ALL += $(BUILD)/lib/lib$(NAME).so.$(MAJOR) $(BUILD)/lib/lib$(NAME).a
DEPS += $(call deps_of,$(SHARED_OBJS_$(NAME)))
DIR :=
NAME :=
MAJOR :=
SRCS :=
NEEDS :=
LIBS :=
