PROGRAM_PLACE := host
PROGRAM_LDFLAGS_$(NAME) :=
include tools/build/program.mk
