# Writes to the kernel's files are answered as the kernel answers them, and so are the calls that load modules.
DIR := tests/unit/mlctl
NAME := mlctl
SRCS := mlctl_test.c tree.c
COVERS := $(addprefix user/mlctl/,verbs.c files.c classes.c figures.c module.c list.c switch.c knowledge.c stats.c watch.c \
  profile_file.c profile_set.c profile.c recommend.c run.c models.c record.c)
NEEDS := lib/crc32 lib/tensorfile
LIBS := -Wl,--wrap=write -Wl,--wrap=syscall -Wl,--wrap=execvp
include tools/build/unit-test.mk
