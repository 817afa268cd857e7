/*
 * consumer.h: what the files of crc_consumer share.
 */
#pragma once

#include "modules/gpu_crc/include/gpu_crc.h"
#include "tests/kernel/ktest.h"

#define DATA_ORDER 9u /* 2 MiB */
#define DATA_BYTES (PAGE_SIZE << DATA_ORDER)

extern uint8_t *noise; /* DATA_BYTES of random bytes that nobody changes */

/* The checksum as the definition has it, without gpu_crc. */
uint32_t crc_expected(uint32_t crc, const uint8_t *bytes, size_t count);

/* Waits until gpu_crc has its device. False: this machine has none; a failure when it does not
 * come. */
bool device_awaited(void);

/* load.c */
void case_many_at_once(void);
void case_goes_on_when_lost(void);
void case_device_comes_back(void);
void case_work_is_left(void);
void load_stop(void);
