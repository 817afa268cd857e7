/*
 * machine.c: the end of the machine, and its battery clock.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/boot.h>
#include <microlake/irq.h>

#define DEBUG_EXIT_PORT 0x501

void machine_halt_others(void)
{
    if (cpu_count() > 1)
        apic_send_others(VECTOR_PANIC);
}

void machine_power_off(unsigned status)
{
    interrupts_off();
    /* QEMU's isa-debug-exit ends with status 2 * value + 1; the host channel has told the real one. */
    port_out8(DEBUG_EXIT_PORT, (uint8_t)status);
    /* Others: the keyboard controller's reset line; with -no-reboot the machine ends. */
    port_out8(0x64, 0xfe);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static unsigned rtc_register(unsigned reg)
{
    port_out8(0x70, (uint8_t)reg);
    return port_in8(0x71);
}

static unsigned from_bcd(unsigned v, bool binary)
{
    return binary ? v : (v >> 4) * 10 + (v & 15);
}

/* Seconds since 1970 (days from civil: Hinnant, "chrono-compatible low-level date algorithms"). */
uint64_t rtc_read_seconds(void)
{
    unsigned v[6], again[6], b = rtc_register(0x0b);
    static const uint8_t regs[6] = {0, 2, 4, 7, 8, 9};
    bool binary = b & 4;
    unsigned y, m, d, tries = 0;
    uint64_t days;

    do {
        for (unsigned i = 0; i < 6; i++)
            v[i] = rtc_register(regs[i]);
        for (unsigned i = 0; i < 6; i++)
            again[i] = rtc_register(regs[i]);
    } while (__builtin_memcmp(v, again, sizeof(v)) && ++tries < 100);
    d = from_bcd(v[3], binary);
    m = from_bcd(v[4], binary);
    y = from_bcd(v[5], binary) + 2000 - (m <= 2);
    if (d == 0 || m == 0 || m > 12)
        return 0; /* no clock */
    days = 365ull * y + y / 4 - y / 100 + y / 400 + (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1 - 719468;
    return ((days * 24 + from_bcd(v[2] & 0x7f, binary)) * 60 + from_bcd(v[1], binary)) * 60 +
           from_bcd(v[0], binary);
}
