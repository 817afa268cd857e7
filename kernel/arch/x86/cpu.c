/*
 * cpu.c: brings one processor into its working state: segments, interrupt table, control registers.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>

/* entry.S relies on these. */
_Static_assert(offsetof(struct cpu, current) == 8, "thread_current");
_Static_assert(offsetof(struct cpu, kernel_rsp) == 16, "CPU_KERNEL_RSP");
_Static_assert(offsetof(struct cpu, user_rsp) == 24, "CPU_USER_RSP");
_Static_assert(offsetof(struct cpu, preempt_count) == 32, "preempt_disable");
_Static_assert(offsetof(struct user_regs, cs) == 144, "REG_CS");
_Static_assert(offsetof(struct guard, rip) == 56, "guard_save");

struct cpu *cpus[MAX_CPUS];

struct idt_entry {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};

static struct idt_entry idt[256];

extern const char trap_stubs[]; /* 8 bytes each, vectors 0..31 */
void trap_2(void);
void trap_8(void);
extern const char irq_stubs[];
void syscall_entry(void);

enum { IST_DOUBLE_FAULT = 1, IST_NMI = 2 };

static void idt_set(unsigned vector, uint64_t handler, unsigned ist, bool user)
{
    idt[vector] = (struct idt_entry){
        .offset_low = (uint16_t)handler,
        .selector = GDT_KERNEL_CODE,
        .ist = (uint8_t)ist,
        .type = user ? 0xee : 0x8e, /* interrupt gate */
        .offset_mid = (uint16_t)(handler >> 16),
        .offset_high = (uint32_t)(handler >> 32),
    };
}

static void idt_fill(void)
{
    for (unsigned v = 0; v < 32; v++)
        idt_set(v, (uint64_t)trap_stubs + v * 8, 0, v == 3 || v == 4);
    idt_set(8, (uint64_t)trap_8, IST_DOUBLE_FAULT, false);
    idt_set(2, (uint64_t)trap_2, IST_NMI, false);
    for (unsigned v = 32; v < 256; v++)
        idt_set(v, (uint64_t)irq_stubs + (v - 32) * 8, 0, false);
}

static void idt_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lidt %0" ::"m"(pointer));
}

static void gdt_load(struct cpu *c)
{
    uint64_t tss = (uint64_t)&c->tss;
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof(c->gdt) - 1, (uint64_t)c->gdt};

    c->gdt[0] = 0;
    c->gdt[1] = 0x00af9b000000ffff; /* kernel code */
    c->gdt[2] = 0x00cf93000000ffff; /* kernel data */
    c->gdt[3] = 0x00cff3000000ffff; /* user data */
    c->gdt[4] = 0x00affb000000ffff; /* user code */
    c->gdt[5] = 0x0000890000000000 | (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
                (tss >> 24 & 0xff) << 56;
    c->gdt[6] = tss >> 32;
    c->tss.io_map = sizeof(struct tss);
    __asm__ volatile("lgdt %0\n"
                     "mov %1, %%ds\n mov %1, %%es\n mov %1, %%ss\n"
                     "xor %%eax, %%eax\n mov %%eax, %%fs\n mov %%eax, %%gs\n"
                     "ltr %w2" ::"m"(pointer),
                     "r"(GDT_KERNEL_DATA), "r"(GDT_TSS)
                     : "rax", "memory");
}

static void control_registers_set(void)
{
    struct cpuid_regs f1 = cpuid(1, 0), f7 = cpuid(0, 0);
    uint64_t cr4 = cr4_read() | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    f7 = f7.eax >= 7 ? cpuid(7, 0) : (struct cpuid_regs){0};
    if (f1.ecx & (1u << 26))
        cr4 |= CR4_OSXSAVE;
    if (f7.ebx & (1u << 7))
        cr4 |= CR4_SMEP;
    if (f7.ebx & (1u << 20))
        cr4 |= CR4_SMAP;
    if (f7.ecx & (1u << 2))
        cr4 |= CR4_UMIP;
    cr4_write(cr4);
    cr0_write((cr0_read() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_WP);
}

static void syscall_msrs_set(void)
{
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE | EFER_NXE);
    /* SYSRET takes CS = base + 16 and SS = base + 8: user data lies below user code. */
    msr_write(MSR_STAR, (uint64_t)(GDT_KERNEL_DATA | 3) << 48 | (uint64_t)GDT_KERNEL_CODE << 32);
    msr_write(MSR_LSTAR, (uint64_t)syscall_entry);
    msr_write(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC | RFLAGS_NT);
}

/* Programs read the CPU's number as the limit of a segment: lsl is there on every processor. */
void cpu_number_publish(struct cpu *c)
{
    c->gdt[GDT_CPU_NUMBER / 8] = 0x0000f10000000000 | c->id;
}

void cpu_init_this(struct cpu *c)
{
    c->self = c;
    gdt_load(c);
    cpu_number_publish(c);
    msr_write(MSR_GS_BASE, (uint64_t)c);
    msr_write(MSR_KERNEL_GS_BASE, 0);
    idt_load();
    control_registers_set();
    syscall_msrs_set();
    vector_init();
}

void cpu_init_boot(void)
{
    static struct cpu boot_cpu;
    static uint8_t boot_ist[2][4096] __attribute__((aligned(16)));

    idt_fill();
    cpus[0] = &boot_cpu;
    boot_cpu.tss.ist[IST_DOUBLE_FAULT - 1] = (uint64_t)boot_ist[0] + sizeof(boot_ist[0]);
    boot_cpu.tss.ist[IST_NMI - 1] = (uint64_t)boot_ist[1] + sizeof(boot_ist[1]);
    boot_cpu.preempt_count = 1; /* until the first switch */
    cpu_init_this(&boot_cpu);
}

unsigned cpu_id(void)
{
    return this_cpu()->id;
}

uint64_t interrupts_disable(void)
{
    uint64_t flags = rflags_read();

    interrupts_off();
    return flags;
}

void interrupts_restore(uint64_t flags)
{
    if (flags & RFLAGS_IF)
        interrupts_on();
}
