/*
 * arch.h: what kernel/arch/x86 gives the rest of the nucleus. Not for modules.
 */
#pragma once

#include <arch/cpu_local.h>
#include <microlake/irq.h>
#include <microlake/log.h>
#include <microlake/types.h>
#include <microlake/user.h>

/* ---- start (pvh.c, cpu.c, smp.c) ---- */

struct memory_region {
    paddr_t start, end;
};

/* What the machine's loader said; filled by boot_info_read() before anything else runs. */
struct boot_info {
    const char *command_line;
    paddr_t archive, archive_end; /* the initrd */
    paddr_t rsdp;                 /* 0: not given */
    struct memory_region ram[32]; /* usable RAM, sorted, page-aligned inwards */
    unsigned ram_count;
    paddr_t image_start, image_end; /* the nucleus itself */
};
extern struct boot_info boot_info;

void cpu_init_boot(void);             /* GDT, IDT, features of the boot CPU */
void cpu_number_publish(struct cpu *c); /* once its id is known */
void cpu_init_this(struct cpu *c);    /* the same for an application CPU */
void smp_start(void);                 /* starts the other CPUs; does not wait */
unsigned mp_find_cpus(uint32_t apic_ids[MAX_CPUS], paddr_t *io_apic);

/* ---- interrupts (apic.c, irq.c) ---- */

enum vector {
    VECTOR_IRQ_BASE = 0x30,
    VECTOR_IRQ_COUNT = 64,
    VECTOR_TIMER = 0xf0,
    VECTOR_RESCHEDULE = 0xf1,
    VECTOR_TLB = 0xf2,
    VECTOR_PANIC = 0xf3,
    VECTOR_SPURIOUS = 0xff,
};

void apic_init_boot(void);
void apic_init_this(void);
uint32_t apic_id_read(void);
void apic_eoi(void);
void apic_send(unsigned cpu, unsigned vector);
void apic_send_others(unsigned vector);
void apic_start_cpu(uint32_t apic_id, paddr_t entry, bool with_init);
void apic_timer_arm(uint64_t ns); /* one-shot, from now; at least 1 */
uint32_t apic_timer_count(void);  /* counts down, 1 GHz */
void apic_timer_free_run(void);
void io_apic_init(paddr_t base);
void io_apic_route(unsigned line, unsigned vector, bool level, bool masked);
unsigned io_apic_lines(void);
struct irq_message apic_message(unsigned vector); /* for the boot CPU, which handles all devices */
void irq_dispatch(unsigned vector);

/* ---- traps and switches (entry.S, trap.c, vector.c) ---- */

void context_switch(uint64_t *save_rsp, uint64_t load_rsp);
void thread_first_entry(void);            /* where a new thread's context_switch returns to */
void user_enter(struct user_regs *regs) __noreturn; /* loads regs, leaves for user mode */
void user_return_work(struct user_regs *regs);      /* interrupts are off on return */
__attribute__((returns_twice)) uint64_t guard_save(struct guard *g); /* 0, or again with 1 + policy_fault_kind */
void vector_init(void);
size_t vector_state_size(void);
void vector_state_init(void *area);
void vector_save(void *area);
void vector_load(const void *area);

/* Logs at most `frames` lines: the function of rip, and those that called it. Any context. */
#define BACKTRACE_MAX 25
void backtrace_print(enum log_level level, unsigned frames, uint64_t rip, uint64_t rbp);

/* ---- page tables (paging.c) ---- */

typedef uint64_t pte_t;

#define PTE_PRESENT (1ul << 0)
#define PTE_WRITE   (1ul << 1)
#define PTE_USER    (1ul << 2)
#define PTE_PWT     (1ul << 3)
#define PTE_PCD     (1ul << 4)
#define PTE_ACCESS  (1ul << 5)
#define PTE_DIRTY   (1ul << 6)
#define PTE_LARGE   (1ul << 7)
#define PTE_GLOBAL  (1ul << 8)
#define PTE_COUNTED (1ul << 9)  /* software: the mapping holds a reference on the frame */
#define PTE_PRIVATE (1ul << 10) /* software: the frame belongs to private memory, not an object */
#define PTE_NX      (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul

void paging_init(void); /* the kernel's final tables; needs the frame allocator */
paddr_t paging_kernel_root(void);

/* The entry for va in the tables at root, NULL when there is no table (or no memory to make one). */
pte_t *paging_entry(paddr_t root, uint64_t va, bool create);

#define PAGING_LARGE (2ul << 20)

/* The 2 MiB entry for va: 0, a table, or a large page (PTE_LARGE). NULL: as above. */
pte_t *paging_large_entry(paddr_t root, uint64_t va, bool create);

/* First address >= va and < end that may have an entry: skips absent tables. */
uint64_t paging_next(paddr_t root, uint64_t va, uint64_t end);

paddr_t paging_root_create(void);       /* a user root sharing the kernel half; 0: no memory */
void paging_root_free(paddr_t root);    /* frees the tables of the user half; entries must be clear */
void paging_load(paddr_t root);

/* Invalidates [start, end) on the CPUs of mask, this one included. Interrupts must be on. */
void tlb_shootdown(cpu_mask_t mask, uint64_t start, uint64_t end);
void tlb_service(void); /* the interrupt */

/* Drops an address space from every CPU that still has it loaded. */
void tlb_drop_aspace(struct aspace *as);

/* ---- console and end (serial.c, machine.c) ---- */

void log_init(void);
void serial_init(void);
void serial_write(const char *text, size_t size);
void machine_power_off(unsigned status) __noreturn;
void machine_halt_others(void);
uint64_t rtc_read_seconds(void);
