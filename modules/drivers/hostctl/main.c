/*
 * main.c: the control channel to the launcher: standard streams, time marks, figures, exit status.
 * It starts on the second serial port; fast.c says when it moves on.
 *
 * Option hostctl=off leaves the port alone.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>

#include "port.h"
#include "uapi/kmod.h"

#define INTERRUPT_TRIES 64u

static struct spinlock enable_lock = SPINLOCK_INIT;
static uint8_t enabled; /* guarded by enable_lock */

void port_interrupts_set(uint8_t on, uint8_t off)
{
    uint64_t flags = spin_lock_irqsave(&enable_lock);
    uint8_t wanted = (uint8_t)((enabled & ~off) | on);

    if (wanted != enabled)
        port_write(UART_INTERRUPT_ENABLE, wanted);
    enabled = wanted;
    spin_unlock_irqrestore(&enable_lock, flags);
}

/* The line is an edge for the interrupt controller: it must be low when the handler ends, or no
 * further interrupt comes. */
static void port_interrupt(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < INTERRUPT_TRIES; i++) {
        if (port_read(UART_INTERRUPT_ID) & UART_IID_NONE)
            return;
        receive_interrupt();
        transmit_interrupt();
    }
}

/* ---- The channel's operations
 * --------------------------------------------------------------------- */

static void channel_text(enum hostctl_type type, const char *text)
{
    transmit_frame(type, text, (uint32_t)strnlen(text, HOSTCTL_MAX_PAYLOAD));
}

static void channel_mark(const char *name)
{
    channel_text(HOSTCTL_MARK, name);
}

static void channel_stat(const char *name_value)
{
    channel_text(HOSTCTL_STAT, name_value);
}

static void channel_exit(unsigned status)
{
    uint8_t byte = (uint8_t)status;

    transmit_last(HOSTCTL_EXIT, &byte, sizeof(byte));
}

static long channel_write(unsigned stream, const void *p, size_t n)
{
    return transmit_stream(stream == 2 ? 2 : 1, p, n);
}

static const struct host_channel channel = {
    .mark = channel_mark,
    .stat = channel_stat,
    .exit = channel_exit,
    .write = channel_write,
    .read = receive_stdin,
    .size = receive_size,
};

static const struct host_channel no_channel;

/* ---- Life
 * ------------------------------------------------------------------------------------------ */

/* The highest speed: a virtual line has none, but the pause that ends a burst is counted in its
 * bits. */
static void port_start(void)
{
    port_write(UART_INTERRUPT_ENABLE, 0);
    port_write(UART_LINE_CONTROL, UART_LINE_DIVISOR);
    port_write(UART_DIVISOR_LOW, 1);
    port_write(UART_DIVISOR_HIGH, 0);
    port_write(UART_LINE_CONTROL, UART_LINE_8N1);
    port_write(UART_FIFO_CONTROL, UART_FIFO_ON_CLEAR);
    port_write(UART_MODEM_CONTROL, UART_MODEM_ON);
}

static int hostctl_init(void)
{
    const char *option = boot_option("hostctl", 0);
    int r;

    if (option && strcmp(option, "off") == 0)
        return OK;
    if (port_read(UART_LINE_STATUS) == UART_STATUS_NONE) {
        log_debug("hostctl: there is no second serial port");
        return OK;
    }
    port_start();
    r = irq_register(PORT_LINE, IRQ_EDGE, port_interrupt, NULL);
    if (r != OK)
        return r;
    port_interrupts_set(UART_IE_RECEIVE, 0);
    host_channel_set(&channel);
    return OK;
}

static void hostctl_exit(void)
{
    if (host_channel()->write != channel_write)
        return;
    transmit_flush();
    host_channel_set(&no_channel);
    port_interrupts_set(0, UART_IE_RECEIVE | UART_IE_TRANSMIT);
    irq_unregister(PORT_LINE, port_interrupt, NULL);
    receive_stop();
}

KMOD_MANIFEST(.name = "hostctl", .version = "0.1.0", .needs = "", .init = hostctl_init,
              .exit = hostctl_exit);
