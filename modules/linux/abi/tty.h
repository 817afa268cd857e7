/*
 * tty.h: numbers and structures of Linux's terminals on x86-64.
 */
#pragma once

#include <stdint.h>

/* Places in termios.c_cc. */
enum {
    LINUX_VINTR = 0,
    LINUX_VQUIT = 1,
    LINUX_VERASE = 2,
    LINUX_VKILL = 3,
    LINUX_VEOF = 4,
    LINUX_VTIME = 5,
    LINUX_VMIN = 6,
    LINUX_VSTART = 8,
    LINUX_VSTOP = 9,
    LINUX_VSUSP = 10,
    LINUX_VEOL = 11,
    LINUX_VREPRINT = 12,
    LINUX_VWERASE = 14,
    LINUX_VLNEXT = 15,
    LINUX_VEOL2 = 16,
    LINUX_TERMIOS_CHARS = 19,
};

/* c_iflag */
enum {
    LINUX_ISTRIP = 0000040,
    LINUX_INLCR = 0000100,
    LINUX_IGNCR = 0000200,
    LINUX_ICRNL = 0000400,
    LINUX_IUCLC = 0001000,
    LINUX_IXON = 0002000,
    LINUX_IXANY = 0004000,
    LINUX_PARMRK = 0000010,
    LINUX_IMAXBEL = 0020000,
    LINUX_IUTF8 = 0040000,
};

/* c_oflag */
enum {
    LINUX_OPOST = 0000001,
    LINUX_OLCUC = 0000002,
    LINUX_ONLCR = 0000004,
    LINUX_OCRNL = 0000010,
    LINUX_ONOCR = 0000020,
    LINUX_ONLRET = 0000040,
    LINUX_TABDLY = 0014000, /* all of its bits: tabs become spaces */
};

/* c_cflag */
enum {
    LINUX_CBAUD = 0010017,
    LINUX_CBAUDEX = 0010000,
    LINUX_B38400 = 0000017,
    LINUX_CSIZE = 0000060,
    LINUX_CS8 = 0000060,
    LINUX_CREAD = 0000200,
    LINUX_PARENB = 0000400,
};

/* c_lflag */
enum {
    LINUX_ISIG = 0000001,
    LINUX_ICANON = 0000002,
    LINUX_ECHO = 0000010,
    LINUX_ECHOE = 0000020,
    LINUX_ECHOK = 0000040,
    LINUX_ECHONL = 0000100,
    LINUX_NOFLSH = 0000200,
    LINUX_TOSTOP = 0000400,
    LINUX_ECHOCTL = 0001000,
    LINUX_ECHOPRT = 0002000,
    LINUX_ECHOKE = 0004000,
    LINUX_IEXTEN = 0100000,
};

/* The kernel's struct termios (36 bytes) and, with the speeds, termios2. */
struct linux_termios {
    uint32_t input, output, control, local;
    uint8_t line;
    uint8_t chars[LINUX_TERMIOS_CHARS];
    uint32_t input_speed, output_speed; /* termios2 only */
};
#define LINUX_TERMIOS_SIZE 36u
_Static_assert(sizeof(struct linux_termios) == 44, "termios2 layout");

struct linux_winsize {
    uint16_t rows, columns, width, height; /* width and height: pixels */
};
_Static_assert(sizeof(struct linux_winsize) == 8, "winsize layout");

/* ioctl()'s commands. */
#define LINUX_TCGETS      0x5401u
#define LINUX_TCSETS      0x5402u
#define LINUX_TCSETSW     0x5403u
#define LINUX_TCSETSF     0x5404u
#define LINUX_TCGETS2     0x802c542au
#define LINUX_TCSETS2     0x402c542bu
#define LINUX_TCSETSW2    0x402c542cu
#define LINUX_TCSETSF2    0x402c542du
#define LINUX_TCSBRK      0x5409u
#define LINUX_TCXONC      0x540au
#define LINUX_TCFLSH      0x540bu
#define LINUX_TIOCEXCL    0x540cu
#define LINUX_TIOCNXCL    0x540du
#define LINUX_TIOCSCTTY   0x540eu
#define LINUX_TIOCGPGRP   0x540fu
#define LINUX_TIOCSPGRP   0x5410u
#define LINUX_TIOCOUTQ    0x5411u
#define LINUX_TIOCSTI     0x5412u
#define LINUX_TIOCGWINSZ  0x5413u
#define LINUX_TIOCSWINSZ  0x5414u
#define LINUX_TIOCPKT     0x5420u
#define LINUX_TIOCNOTTY   0x5422u
#define LINUX_TIOCGETD    0x5424u
#define LINUX_TCSBRKP     0x5425u
#define LINUX_TIOCGSID    0x5429u
#define LINUX_TIOCGPTN    0x80045430u
#define LINUX_TIOCSPTLCK  0x40045431u
#define LINUX_TIOCSIG     0x40045436u
#define LINUX_TIOCGPKT    0x80045438u
#define LINUX_TIOCGPTLCK  0x80045439u
#define LINUX_TIOCGEXCL   0x80045440u
#define LINUX_TIOCGPTPEER 0x5441u

/* Arguments of TCFLSH and of TCXONC. */
enum { LINUX_TCIFLUSH = 0, LINUX_TCOFLUSH = 1, LINUX_TCIOFLUSH = 2 };
enum { LINUX_TCOOFF = 0, LINUX_TCOON = 1, LINUX_TCIOFF = 2, LINUX_TCION = 3 };

/* What a read of a master in packet mode tells first; 0: data follow. */
enum {
    LINUX_TIOCPKT_FLUSHREAD = 1,
    LINUX_TIOCPKT_FLUSHWRITE = 2,
    LINUX_TIOCPKT_STOP = 4,
    LINUX_TIOCPKT_START = 8,
    LINUX_TIOCPKT_NOSTOP = 16,
    LINUX_TIOCPKT_DOSTOP = 32,
};

/* Device numbers, as major << 8 | minor. */
enum {
    LINUX_DEVICE_TTY = 5 << 8 | 0,
    LINUX_DEVICE_CONSOLE = 5 << 8 | 1,
    LINUX_DEVICE_PTMX = 5 << 8 | 2,
    LINUX_MAJOR_PTS = 136,
};
