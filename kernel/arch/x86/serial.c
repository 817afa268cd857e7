/*
 * serial.c: the early console, a 16550 at the first port, written by polling.
 */
#include <arch/arch.h>
#include <microlake/irq.h>

#include "lib/uart/uart.h"

#define PORT  0x3f8
#define PROBE 0x5a
#define TRIES 100000 /* looks at a port that is busy: then what is lost is lost */

static bool present;

void serial_init(void)
{
    port_out8(PORT + UART_SCRATCH, PROBE);
    present = port_in8(PORT + UART_SCRATCH) == PROBE;
    if (!present)
        return;
    port_out8(PORT + UART_INTERRUPT_ENABLE, 0);
    port_out8(PORT + UART_LINE_CONTROL, UART_LINE_DIVISOR);
    port_out8(PORT + UART_DIVISOR_LOW, 1);
    port_out8(PORT + UART_DIVISOR_HIGH, 0);
    port_out8(PORT + UART_LINE_CONTROL, UART_LINE_8N1);
    port_out8(PORT + UART_FIFO_CONTROL, UART_FIFO_ON_CLEAR);
}

void serial_write(const char *text, size_t size)
{
    for (size_t i = 0; present && i < size; i++) {
        if (i % UART_FIFO_BYTES == 0)
            for (unsigned tries = 0; tries < TRIES; tries++) {
                if (port_in8(PORT + UART_LINE_STATUS) & UART_STATUS_EMPTY)
                    break;
                cpu_relax();
            }
        port_out8(PORT + UART_DATA, (uint8_t)text[i]);
    }
}
