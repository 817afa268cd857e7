# A header alone.
DIR := lib/uart
SRCS :=
NEEDS :=
include tools/build/library.mk
