/*
 * uart.h: the registers of a 16550 serial port, as offsets from the first port, and their bits.
 */
#pragma once

enum uart_register {
    UART_DATA = 0,
    UART_INTERRUPT_ENABLE = 1,
    UART_DIVISOR_LOW = 0, /* the first two are the divisor while UART_LINE_DIVISOR is set */
    UART_DIVISOR_HIGH = 1,
    UART_FIFO_CONTROL = 2, /* when written */
    UART_INTERRUPT_ID = 2, /* when read */
    UART_LINE_CONTROL = 3,
    UART_MODEM_CONTROL = 4,
    UART_LINE_STATUS = 5,
    UART_SCRATCH = 7, /* keeps what is written to it, and does nothing */
};

enum uart_bits {
    UART_IE_RECEIVE = 1 << 0,
    UART_IE_TRANSMIT = 1 << 1,
    UART_IID_NONE = 1 << 0,     /* no interrupt is pending */
    UART_FIFO_ON_CLEAR = 0xc7,  /* on, both emptied, interrupt at 14 bytes or a pause */
    UART_LINE_8N1 = 0x03,       /* 8 bits, no parity, one stop bit */
    UART_LINE_DIVISOR = 0x80,
    UART_MODEM_ON = 0x0b,       /* ready, request to send, interrupts pass */
    UART_STATUS_DATA = 1 << 0,  /* a byte was received */
    UART_STATUS_EMPTY = 1 << 5, /* the transmitter takes UART_FIFO_BYTES */
    UART_STATUS_IDLE = 1 << 6,  /* all that it had is on the line */
    UART_STATUS_NONE = 0xff,    /* there is no port */
};

#define UART_FIFO_BYTES 16u
