/*
 * liar.h: a virtio-gpgpu device that lies. It does what a driver asks without computing anything: honestly, but for
 * one thing that it is told to do wrong ("twice@submit": the first batch is given back twice), or for many, by chance
 * ("random:7").
 *
 * No system's code: it works in a vhost-user back end (backend.c), and inside a machine behind a transport that is a
 * module (machine.c). The owner serialises calls. It takes itself no harm from what a driver does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vring/vring.h"
#include "uapi/virtio_gpgpu.h"

#define LIAR_CONTEXTS 64u
#define LIAR_NAME     64u

enum liar_group { LIAR_GIVES_BACK, LIAR_REPLIES, LIAR_FENCES, LIAR_EVENTS, LIAR_CONFIG, LIAR_STATE, LIAR_HONEST };

/* What the driver should make of a lie. */
enum liar_expect {
    LIAR_EXPECT_LOST,   /* the device is given up */
    LIAR_EXPECT_ERRORS, /* somebody gets an error; the device goes on */
    LIAR_EXPECT_ANY,    /* that depends on when it comes */
};

struct liar_lie {
    const char *name;
    enum liar_group group;
    enum liar_expect expect;
};
/* "" ends each list. A lie of the first two groups is told at one of the places; LIAR_REPLIES not at the last two. */
extern const struct liar_lie liar_lies[];
extern const char *const liar_places[];

struct liar;

struct liar_calls {
    /* Guest memory, or NULL: there is none. */
    void *(*memory)(void *owner, uint64_t address, uint64_t bytes);
    void (*interrupt)(void *owner, unsigned queue);
    void (*config_changed)(void *owner, bool needs_reset);
    void (*die)(void *owner); /* it is not called any more */
};

struct liar_ring {
    uint16_t size; /* 0: it stands still */
    uint16_t seen, used_index;
    const struct vring_desc *desc;
    const volatile uint16_t *avail;
    volatile uint16_t *used;
};

struct liar {
    const struct liar_calls *calls;
    void *owner;
    const struct liar_lie *lie; /* NULL: by chance */
    unsigned place;             /* of liar_places */
    unsigned honest;            /* so often it does not lie there */
    unsigned told;              /* lies so far */
    uint64_t state;             /* of the random numbers */
    unsigned flood;             /* events that are still to come, */
    bool floods;                /* as they do just now */
    bool quiet;                 /* no answer any more */
    struct liar_ring rings[VGPGPU_QUEUE_COUNT];
    uint64_t fence_pages[LIAR_CONTEXTS + 1];
};

/* "LIE", "LIE@PLACE", "LIE@PLACE+N" after N times honestly, or "random:SEED". False: there is no such thing. */
bool liar_init(struct liar *liar, const char *what, const struct liar_calls *calls, void *owner);

void liar_config(struct liar *liar, struct vgpgpu_config *out);

/* The three parts as they are mapped here, for `size` entries. */
void liar_ring_start(struct liar *liar, unsigned queue, uint16_t size, uint16_t from, const void *desc,
                     const volatile void *avail, volatile void *used);
void liar_ring_stop(struct liar *liar, unsigned queue);

/* Does what there is to do. False: nothing was. */
bool liar_step(struct liar *liar);
