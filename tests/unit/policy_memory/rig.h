/*
 * rig.h: the ledger of policies' memory (modules/mlaas/core/policy_memory.c) with stand-ins for what is around it.
 * There is no memory: the nucleus's allocators give the place that the test names. So a test can let somebody
 * free a place whom the ledger does not hear of, and have the same place given again.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_SPOTS    24u   /* where modules may lie */
#define RIG_ACCOUNTS 16u
#define RIG_PIECES   4096u
#define RIG_NOBODY   RIG_SPOTS /* a caller that lies in no module */

enum rig_how { RIG_KMALLOC, RIG_KZALLOC, RIG_KSTRDUP, RIG_FRAMES, RIG_HOWS };

struct rig_sums {
    bool open; /* the module that lies there has an account */
    size_t bytes, most;
    uint64_t refused;
};

/* A ledger that nobody has asked for yet, with that limit. */
void rig_begin(size_t limit_kib);

/* No lock is held, all slots are there, and what the rig gave the ledger comes back. */
void rig_end(void);

/* A module of that name is loaded at that spot and linked; true: with the counting functions. */
bool rig_link(unsigned spot, const char *name);

/* What a symbol is linked with, when the nucleus has it at `address`. */
const void *rig_link_symbol(unsigned spot, const char *name, const char *symbol, const void *address);

/* The module at `spot` asks the counting function for memory and is given place `place` of that kind, or refused: then
 * the nucleus has the place back. size: bytes; of RIG_FRAMES, the order. */
bool rig_take(unsigned spot, enum rig_how how, unsigned place, size_t size);

/* It gives back by the counting function. Who frees otherwise does not ask the ledger: there is nothing to call. */
void rig_give(unsigned spot, enum rig_how how, unsigned place, size_t size);

/* What it counts that take for. */
size_t rig_counted(enum rig_how how, size_t size);

struct rig_sums rig_sums(unsigned spot);

/* Slots in use; all others are free, and none is lost or there twice. */
unsigned rig_slots_used(void);

/* What the module at `spot` is said to have; the list of all. For cases that look for words. */
const char *rig_described(unsigned spot);
const char *rig_listed(void);

/* The policy of the module at `spot`, as policy_info() tells it. machine: it is the machine's. */
void rig_policy_add(const char *name, unsigned spot, bool machine);

/* Lets the thread do what there is to do. The policies that fell back then, each with "name: reason\n". */
const char *rig_worker_run(void);

/* The next of these fails. */
enum rig_failure { RIG_FAILS_NOT, RIG_FAILS_LEDGER, RIG_FAILS_THREAD, RIG_FAILS_REF, RIG_FAILS_NUCLEUS };
void rig_fail(enum rig_failure what);
extern unsigned rig_threads, rig_refs; /* that the ledger has */

/* The cases with a model beside them. */
int random_run(void);
