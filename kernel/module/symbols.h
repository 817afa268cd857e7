/*
 * symbols.h: names for code addresses, of the nucleus and of modules.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The function that contains addr. *module is NULL for the nucleus, else the module's name. The
 * names live as long as the module does. false: the address is in no known code. Any context, a
 * panic or a fault included: it never waits.
 */
bool symbol_find(uint64_t addr, const char **name, uint64_t *offset, const char **module);

/* The nucleus's table, made by gen-symbols: functions by address, as offsets from symbol_base. */
extern const uint64_t symbol_base;
extern const unsigned symbol_count;
extern const uint32_t symbol_offsets[];
extern const uint16_t symbol_name_starts[]; /* positions in symbol_names */
extern const char symbol_names[];
