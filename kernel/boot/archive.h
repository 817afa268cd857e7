/*
 * archive.h: start-up of the boot archive, for the nucleus only.
 */
#pragma once

void boot_archive_init(void);
