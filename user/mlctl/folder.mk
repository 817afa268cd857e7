DIR := user/mlctl
NAME := mlctl
SRCS := main.c verbs.c files.c classes.c figures.c module.c list.c switch.c knowledge.c stats.c watch.c profile_file.c \
  profile_set.c profile.c recommend.c run.c models.c record.c
NEEDS := lib/crc32 lib/tensorfile
GUEST_FILES += $(foreach p,$(notdir $(wildcard user/mlctl/profiles/*)),etc/mlaas/profiles/$(p):user/mlctl/profiles/$(p))
include tools/build/guest-program.mk
