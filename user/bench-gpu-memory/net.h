/*
 * net.h: small networks on managed GPU buffers: made, trained, run. Every kernel is a batch of its own, as a
 * framework has it that runs layer by layer. Numbers are whole and computed in 32 bits, so that what is in
 * the weights at the end says whether every byte was where it had to be: wherever buffers lay meanwhile, it
 * is the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "user/libmalv/malv.h"

#define NET_LAYERS_MAX 24u
#define NET_STEPS_MAX  32u /* of a recurrent network's sequence */

struct net_shape {
    const char *name;
    unsigned layers;              /* weight matrices */
    unsigned width[NET_LAYERS_MAX + 1];
    unsigned rows;                /* of a batch of data */
    unsigned length;              /* 0: no recurrent network; else each matrix is used so often in a row */
    bool trains;
    unsigned changing;            /* batches have rows, 2 * rows ... in a fixed order; 0 or 1: rows */
};

/* The shapes there are; name NULL ends them. */
extern const struct net_shape net_shapes[];

struct net {
    const struct net_shape *shape;
    struct malv_device *device;
    uint32_t kernels[5];
    uint64_t bytes; /* of all managed buffers */
    struct malv_buffer staging;
    struct malv_buffer weights[NET_LAYERS_MAX], grads[NET_LAYERS_MAX], momenta[NET_LAYERS_MAX];
    struct malv_buffer acts[NET_LAYERS_MAX * NET_STEPS_MAX + 1], errors[NET_LAYERS_MAX + 1];
    unsigned acts_count;
    uint64_t fence;
};

/* Ends the program where something fails. */
void net_open(struct net *net, const struct net_shape *shape);
void net_step(struct net *net, unsigned number);
uint64_t net_checksum(struct net *net); /* of all weights */
void net_close(struct net *net);
