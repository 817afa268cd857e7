/*
 * boot_internal.h: start-up, for the nucleus only.
 */
#pragma once

#include <microlake/types.h>

void kernel_start(uint32_t start_info) __noreturn;
void boot_info_read(uint32_t start_info);
void boot_options_init(void);
int boot_main_run(void); /* calls what boot_set_main() gave */
