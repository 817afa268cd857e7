/*
 * symbols.h: the table behind symbol_text() of <microlake/module.h>.
 */
#pragma once

#include <stdint.h>

/* The nucleus's table, made by gen-symbols: functions by address, as offsets from symbol_base. */
extern const uint64_t symbol_base;
extern const unsigned symbol_count;
extern const uint32_t symbol_offsets[];
extern const uint16_t symbol_name_starts[]; /* positions in symbol_names */
extern const char symbol_names[];
