/*
 * plain_guest.c: the policies of the class readahead without a model, the very same, compiled as a program.
 */
#include "modules/linux/fs/ahead_plain.c"
