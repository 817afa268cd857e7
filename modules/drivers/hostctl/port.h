/*
 * port.h: the second serial port (a 16550) that carries the frames of uapi/hostctl.h, and what the
 * driver's files share.
 */
#pragma once

#include <microlake/irq.h>
#include <microlake/types.h>

#include "lib/uart/uart.h"
#include "modules/drivers/hostctl/include/hostctl.h"
#include "uapi/hostctl.h"

#define PORT_BASE 0x2f8
#define PORT_LINE 3u

static inline uint8_t port_read(enum uart_register r)
{
    return port_in8((uint16_t)(PORT_BASE + r));
}

static inline void port_write(enum uart_register r, uint8_t value)
{
    port_out8((uint16_t)(PORT_BASE + r), value);
}

/* Switches interrupts of the port on or off, by enum uart_bits. Any context. */
void port_interrupts_set(uint8_t on, uint8_t off);

/* ---- transmit.c
 * ---------------------------------------------------------------------------------- */

/* Sends what the port takes. Interrupt context. */
void transmit_interrupt(void);

/* Queues a whole frame or nothing. ERR_AGAIN: no room. Any context. */
int transmit_frame(enum hostctl_type type, const void *payload, uint32_t size);

/* Bytes of standard output (1) or error (2), in frames; waits for room. ERR_LOST: nobody reads
 * them. Thread context. */
long transmit_stream(unsigned stream, const void *bytes, size_t size);

/* The host said that nobody reads this stream. Any context. */
void transmit_closed(unsigned stream);

/* Sends all that is queued, however long the host takes. Thread context. */
void transmit_flush(void);

/* The machine's last frame: sends what is queued and then this one. Thread context. */
void transmit_last(enum hostctl_type type, const void *payload, uint32_t size);

/* hostctl_carry(), where there is a channel. */
int transmit_carry(const struct hostctl_carrier *carrier);

/* Tells the carrier, if there is one, that what it has received may be taken now. Any context. */
void transmit_resume(void);

/* ---- receive.c
 * ----------------------------------------------------------------------------------- */

/* Takes what the port has received. Interrupt context. */
void receive_interrupt(void);

/* struct host_channel's read and size. */
long receive_stdin(void *out, size_t size, bool wait);
bool receive_size(uint16_t *rows, uint16_t *columns);

void receive_stop(void); /* the module goes: readers see the end */

/* ---- fast.c
 * -------------------------------------------------------------------------------------- */

/* Bytes of the standard streams come or go: many of them load the faster line. Thread context. */
void fast_note(size_t bytes);
