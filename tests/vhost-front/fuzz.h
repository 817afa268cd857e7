/*
 * fuzz.h: what the parts of gpud's fuzz share: random numbers, the machine they are tried on, what of
 * it must be there, and what came of each kind of request.
 *
 * Two kinds of contexts: those with low numbers are everybody's and may come and go by any request; the
 * home is a context that only the fuzz itself names, with good objects, in which single commands are
 * tried whose status is read from a fence slot of their own.
 */
#pragma once

#include "front.h"
#include "rig.h"

#define FUZZ_SCRATCH_PAGES  64u
#define FUZZ_REQUEST_BYTES  (512u << 10) /* the longest request that is made: a program's binary */
#define FUZZ_REQUEST_OFFSET (64u << 10)  /* of the request behind the reply's room */
#define FUZZ_PIECES         24u          /* descriptors that a request is cut into */

/* ---- Random numbers (fuzz_random.c): the same run from the same seed. */
extern uint64_t fuzz_seed;
uint64_t random_next(void);
uint32_t random_below(uint32_t limit);
bool one_in(uint32_t n);
/* A number near some limit. */
uint64_t random_edge(void);
/* Mostly a number below the limit, which makes sense. */
uint64_t random_or_edge(uint32_t limit);
/* Of a context or an object. */
uint32_t random_id(void);
/* Guest-physical: the scratch pages, or outside all memory. */
uint64_t random_address(void);
/* Flips some bytes, one time of six. */
void bytes_spoil(void *bytes, size_t count);

/* ---- The machine (fuzz_machine.c). */
struct fuzz {
    struct rig rig;
    struct rig beside;  /* another machine, which notices nothing */
    uint8_t *untouched; /* its page */
    uint64_t scratch;   /* what requests may name as memory */
    uint64_t tables;    /* a page of indirect descriptors */
    uint64_t home_page; /* the home's fence page */
    uint64_t fence;     /* of the low contexts */
    uint32_t home_queue; /* the home's next queue on which nothing failed */
    uint64_t home_fences[VGPGPU_QUEUES_PER_CONTEXT];
    bool lossy;      /* the device process has been killed: what was in it is lost */
    uint8_t *binary; /* of a good program, as the device gave it */
    size_t binary_bytes;
};
extern struct fuzz fuzz;

#define FUZZ_HOME         201u
#define FUZZ_HOME_BUFFERS 3u /* 1 and 2 in guest memory, 3 of the device; FUZZ_BUFFER_BYTES each */
#define FUZZ_HOME_NAMES   5u /* 4 is a part of 1, and 5 one of 4 */
#define FUZZ_BUFFER_BYTES (4u * VGPGPU_PAGE)
/* Kernels 1 and 2 of the home; the third has too many arguments. */
extern const char fuzz_source[];

/* Another machine, for good. */
void beside_open(void);
/* A device without contexts; then the home, and that good work is done right, beside it too. */
void machine_start_over(void);
/* Only the home is made anew. */
void home_renew(void);
/* Posts bytes as a request, cut anywhere, and waits for the reply: NULL when there was no room for it.
 * `over`: the reply's room is the request's own memory. */
const struct vgpgpu_reply *request_post(const void *request, size_t bytes, uint32_t room, bool over);
/* front_take() that shows where the device process stands when it does not come: GPUD_FUZZ_STACKS. */
bool fuzz_take(unsigned queue, uint16_t *head, uint32_t *written);
/* Waits for the home's queue; its status. */
uint32_t home_wait(uint32_t queue);
/* The next queue of the home on which nothing failed: a failure is told once (fuzz_commands.c). */
uint32_t home_queue_next(void);
/* home_wait() of a batch that is the queue's newest, which must be one that the specification has. */
uint32_t home_outcome(uint32_t queue);

/* ---- What is there (fuzz_model.c). */
enum model_kind { MODEL_CONTEXT, MODEL_BUFFER, MODEL_PROGRAM, MODEL_KERNEL, MODEL_KINDS };
void model_clear(void);
/* Whether there is such a context, of which `object` is no matter, or object. */
bool model_has(enum model_kind kind, uint32_t context, uint32_t object);
/* Of what is there: */
bool model_is_limited(uint32_t context);
uint64_t model_bytes(uint32_t context, uint32_t buffer);
bool model_program_is_ours(uint32_t context, uint32_t program);
/* An identifier that is there, or is free. Of an object: what requests of this type create or destroy. */
uint32_t model_context(bool there);
uint32_t model_object(uint32_t type, uint32_t context, bool there);
/* What a request's answer says must agree with all before. */
void model_check(const void *request, size_t bytes, uint32_t status);

/* ---- What is right by the specification: it must be done, what is wrong must be an error, and of what is open
 * nobody here can tell. */
enum verdict { WRONG, RIGHT, OPEN };
enum verdict request_judge(const void *request, size_t bytes); /* fuzz_rules.c */
/* A program that is there: of the fuzz's own text. */
bool program_is_ours(const void *request);
/* One command of the home (fuzz_command_rules.c), whose submission has `room` values up to its own. */
enum verdict command_judge(const void *commands, uint32_t bytes, uint64_t room);

/* ---- What came of it (fuzz_count.c). */
void count_request(const void *request, size_t bytes, uint32_t status);
void count_command(const struct vgpgpu_command *command, uint32_t status);
void count_submission(uint32_t status);
unsigned long counts_sum(void);
/* How many had an outcome of that status. */
unsigned long counts_of(uint32_t status);
/* Prints all, and returns how many of the documented outcomes never came. */
unsigned counts_print(void);
/* After that: outcomes that the specification does not have. */
extern unsigned counts_undocumented;

/* Descriptors of a ring that random chains are made of, with a table in the scratch pages (fuzz_rings.c). */
#define FUZZ_OWN_FIRST 96u
#define FUZZ_OWN_COUNT 8u
void descriptors_make(unsigned queue);
/* Takes all chains that the device has. */
void ring_settle(unsigned queue);

/* ---- The steps. */
void control_step(void);  /* fuzz_control.c */
size_t control_make(uint8_t *out); /* a request, of FUZZ_REQUEST_BYTES at most */
void submit_step(void);   /* fuzz_commands.c: several commands in a low context */
void command_step(void);  /* fuzz_commands.c: one in the home */
void header_step(void);   /* fuzz_commands.c: a submission's own fields, in the home */
void ring_step(void);     /* fuzz_rings.c */
void race_step(void);     /* fuzz_rings.c: all of it changes while it is read */
void flood_step(void);    /* fuzz_rings.c: a ring that never becomes empty */
void event_step(void);    /* fuzz_events.c */
void crowd_step(void);    /* fuzz_crowds.c: many launches in one submission */
void full_step(void);     /* fuzz_crowds.c: more submissions than the device takes */
void kill_step(void);     /* fuzz_kills.c: a process of gpud's is killed in the middle of all that */
extern unsigned kills_of_fronts, kills_lost; /* so far, and device processes that went with any */
void bomb_step(void);     /* fuzz_bombs.c: a build without an end */
extern unsigned bombs_seen, bombs_lost; /* so far, and device processes that went with them */
/* fuzz_operations.c: adds a built-in operation to a batch. */
void operation_make(struct front_batch *batch);
