/*
 * rig.h: what gpud's tests share: a gpud of their own, and a machine with one context that is ready
 * to work. The functions assert; they are for cmocka tests.
 */
#pragma once

#include "front.h"

struct rig {
    struct front *front;
    uint64_t fence_guest;
    struct vgpgpu_fence_slot *slots;
    uint64_t fences[VGPGPU_QUEUES_PER_CONTEXT]; /* newest of each queue */
    struct front_batch *batch;
};

/* The program's arguments: COUNT and SEED, or --requests, --seed and --seconds, which ends the run at that time if the
 * count has not. All from 1, and there already if left out. Ends the program with a line when they make no sense;
 * `counted`: what it counts. */
void rig_arguments(int argc, char **argv, const char *counted, unsigned long *count, uint64_t *seed);
/* Whether there is more to do when `done` are. The first call begins the time; says now and then how far it is. */
bool rig_goes_on(unsigned long done);
/* Since the first of these calls. */
double rig_seconds(void);

/* Group set-up and clean-up: a gpud in a folder of its own. The clean-up fails when gpud held more
 * for a machine, at the machine's end, than the machine owned, or used CUDA's stand-in wrongly. With
 * GPUD_LOG in the environment it shows what gpud said. GPUD_TESTS there is a pattern of the tests that
 * are run. */
int rig_start(void **state);
/* Set before that: machines have no folder for built kernels in common, but one each. */
extern bool rig_folders_apart;
int rig_stop(void **state);
const char *rig_socket(void);
/* Ends the broker with SIGKILL and starts another in its place. Machines live on. */
void rig_broker_replace(void);
/* A process of the machine that connected last: "gpud-keeper", "gpud-front" or "gpud-device". 0:
 * there is none. */
pid_t rig_process(const char *name);
/* Whether this is root, who may become any user: then machines have users of their own. */
bool rig_users_apart(void);
/* Whose it is: its user, where all of its user and group numbers are the same and it is in no other group than
 * `groups` at most; else -1. */
int64_t rig_user(pid_t process, unsigned groups);
/* Ends it with SIGKILL. False: there is none now. */
bool rig_kill(const char *name);
pid_t rig_broker(void);
/* Waits until no process of a machine that has gone is left. */
void rig_processes_end(void);
/* What gpud has said so far; until the next call. */
const char *rig_log(void);
/* Whether gpud has said that, within a few seconds. */
bool rig_log_has(const char *text);
/* How often gpud has said that so far. */
unsigned rig_log_count(const char *text);
/* That no sanitizer has said anything, and nothing died of what it would say. */
void rig_log_is_clean(void);

/* A machine with context 1. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* A buffer of pages that follow each other; its bytes as this side sees them. */
void *rig_guest_buffer(struct rig *rig, uint32_t buffer, uint64_t pages);
/* Program `id` and its kernel `id`, which must take `args` arguments. */
void rig_kernel(struct rig *rig, uint32_t id, const char *name, const char *source, uint64_t args);
/* A machine with a page of its own as buffer 1, which it returns, and kernel 1. */
void *rig_open_with(struct rig *rig, const char *name, const char *source, uint64_t args);
/* A program of a few lines that are gigabytes to the compiler. */
extern const char rig_bomb[];
/* Starts the batch anew. */
struct front_batch *rig_batch(struct rig *rig);
void rig_submit(struct rig *rig, uint32_t queue);
/* Waits for the queue's newest submission; the slot's status. */
uint32_t rig_wait(struct rig *rig, uint32_t queue);
uint32_t rig_run(struct rig *rig, uint32_t queue);
