/*
 * serial.c: the early console, a 16550 at the first port, written by polling.
 */
#include <arch/arch.h>
#include <microlake/irq.h>

#define PORT      0x3f8
#define LINE      (PORT + 5)
#define LINE_IDLE 0x20
#define FIFO_SIZE 16

static bool present;

void serial_init(void)
{
    port_out8(PORT + 7, 0x5a); /* scratch register: is anybody there? */
    present = port_in8(PORT + 7) == 0x5a;
    if (!present)
        return;
    port_out8(PORT + 1, 0);    /* no interrupts */
    port_out8(PORT + 3, 0x80); /* divisor */
    port_out8(PORT + 0, 1);
    port_out8(PORT + 1, 0);
    port_out8(PORT + 3, 0x03); /* 8n1 */
    port_out8(PORT + 2, 0x07); /* FIFO on and empty */
}

void serial_write(const char *text, size_t size)
{
    for (size_t i = 0; present && i < size; i++) {
        if (i % FIFO_SIZE == 0)
            for (unsigned tries = 0; !(port_in8(LINE) & LINE_IDLE) && tries < 100000; tries++)
                cpu_relax();
        port_out8(PORT, (uint8_t)text[i]);
    }
}
