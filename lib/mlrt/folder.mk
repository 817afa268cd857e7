# VECTOR: what uses vector registers in the kernel too, between cpu_vector_begin() and cpu_vector_end().
DIR := lib/mlrt
SRCS := paths.c layout.c open.c run.c fixed.c \
  integer_layers.c integer_cells.c integer_search.c integer_scalar.c integer_sse2.c integer_avx2.c \
  float_layers.c float_cells.c float_search.c float_scalar.c float_sse2.c float_avx2.c sgd.c \
  gpu_plan.c gpu_run.c
VECTOR := integer_sse2.c integer_avx2.c \
  float_layers.c float_cells.c float_search.c float_scalar.c float_sse2.c float_avx2.c sgd.c
HOT := run.c fixed.c integer_layers.c integer_cells.c integer_search.c integer_scalar.c
NEEDS := lib/crc32 lib/gpucmd
include tools/build/library.mk
