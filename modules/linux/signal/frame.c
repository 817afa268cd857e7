/*
 * frame.c: the way into a signal handler and back: the frame on the user's stack that Linux
 * programs, their unwinders and debuggers know. The vector registers lie in it in the form XSAVE
 * gives them.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/process/vector.h"
#include "modules/linux/signal/signal.h"
#include "modules/linux/syscall.h"

#define RED_ZONE 128u

/* The flags a program may set for itself: carry .. overflow, trap, direction, alignment check, ID.
 */
#define USER_RFLAGS      0x244dd5ull
#define RFLAGS_DIRECTION (1ull << 10)
#define RFLAGS_TRAP      (1ull << 8)

/* Saved state, the magic behind it, and what aligning may cost. */
size_t signal_frame_size(void)
{
    return sizeof(struct linux_signal_frame) + vector_size() + sizeof(uint32_t) + 64 + 16;
}

static bool on_alternate_stack(const struct task *t, vaddr_t sp)
{
    const struct linux_stack *s = &t->alternate_stack;

    return !(s->flags & LINUX_SS_DISABLE) && sp > s->sp && sp - s->sp <= s->size;
}

static vaddr_t stack_for(const struct task *t, const struct user_regs *regs,
                         const struct linux_sigaction *action)
{
    const struct linux_stack *s = &t->alternate_stack;

    if ((action->flags & LINUX_SA_ONSTACK) && !(s->flags & LINUX_SS_DISABLE) &&
        !on_alternate_stack(t, regs->rsp))
        return s->sp + s->size;
    return regs->rsp - RED_ZONE;
}

static void save_context(struct linux_sigcontext *c, const struct user_regs *r, uint64_t mask)
{
    *c = (struct linux_sigcontext){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rdi = r->rdi,
        .rsi = r->rsi,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .rdx = r->rdx,
        .rax = r->rax,
        .rcx = r->rcx,
        .rsp = r->rsp,
        .rip = r->rip,
        .rflags = r->rflags,
        .cs = (uint16_t)r->cs,
        .ss = (uint16_t)r->ss,
        .error = r->error,
        .old_mask = mask,
    };
    if (r->vector != USER_VECTOR_SYSCALL)
        c->trap = r->vector;
}

static void load_context(struct user_regs *r, const struct linux_sigcontext *c)
{
    r->r8 = c->r8, r->r9 = c->r9, r->r10 = c->r10, r->r11 = c->r11;
    r->r12 = c->r12, r->r13 = c->r13, r->r14 = c->r14, r->r15 = c->r15;
    r->rdi = c->rdi, r->rsi = c->rsi, r->rbp = c->rbp, r->rbx = c->rbx;
    r->rdx = c->rdx, r->rax = c->rax, r->rcx = c->rcx, r->rsp = c->rsp;
    r->rip = c->rip;
    r->rflags = (r->rflags & ~USER_RFLAGS) | (c->rflags & USER_RFLAGS);
    r->vector = 0; /* no system call that could be restarted */
}

bool signal_frame_enter(struct task *t, struct user_regs *regs, const struct linux_siginfo *info,
                        const struct linux_sigaction *action, uint64_t mask)
{
    vaddr_t sp = stack_for(t, regs, action);
    vaddr_t state = ALIGN_DOWN(sp - vector_size() - sizeof(uint32_t), 64);
    /* As after a call: the stack pointer is 8 below a multiple of 16. */
    vaddr_t at = ALIGN_DOWN(state - sizeof(struct linux_signal_frame), 16) - 8;
    struct linux_signal_frame frame = {
        .return_address = action->restorer,
        .ucontext = {.flags = vector_has_xsave() ? LINUX_UC_FP_XSTATE : 0u,
                     .stack = t->alternate_stack,
                     .mask = mask},
        .info = *info,
    };

    if (!(action->flags & LINUX_SA_RESTORER) || at > sp || at < USER_ADDRESS_MIN)
        return false;
    frame.ucontext.flags |= LINUX_UC_SIGCONTEXT_SS | LINUX_UC_STRICT_RESTORE_SS;
    save_context(&frame.ucontext.context, regs, mask);
    frame.ucontext.context.fpstate = state;
    if (info->code > 0 && (info->signo == LINUX_SIGSEGV || info->signo == LINUX_SIGBUS))
        frame.ucontext.context.cr2 = info->fault.address;
    if (vector_write_user(state) != OK || user_write(at, &frame, sizeof(frame)) != OK)
        return false;
    if (t->alternate_stack.flags & LINUX_SS_AUTODISARM)
        t->alternate_stack = (struct linux_stack){.flags = LINUX_SS_DISABLE};
    regs->rsp = at;
    regs->rip = action->handler;
    regs->rdi = (uint64_t)info->signo;
    regs->rsi = at + offsetof(struct linux_signal_frame, info);
    regs->rdx = at + offsetof(struct linux_signal_frame, ucontext);
    regs->rax = 0;
    regs->rflags &= ~(RFLAGS_DIRECTION | RFLAGS_TRAP);
    regs->vector = 0;
    return true;
}

static long bad_frame(struct task *t)
{
    signal_force_segv(t);
    return 0;
}

long signal_frame_leave(struct task *t, struct user_regs *regs)
{
    vaddr_t at = regs->rsp - sizeof(uint64_t); /* the handler's return took the address off */
    struct linux_signal_frame frame;

    if (user_read(&frame, at, sizeof(frame)) != OK)
        return bad_frame(t);
    if (frame.ucontext.context.rip >= USER_ADDRESS_END)
        return bad_frame(t);
    if (frame.ucontext.context.fpstate != 0 &&
        vector_read_user(frame.ucontext.context.fpstate) != OK)
        return bad_frame(t);
    load_context(regs, &frame.ucontext.context);
    t->alternate_stack = frame.ucontext.stack;
    t->alternate_stack.flags &= LINUX_SS_DISABLE | LINUX_SS_AUTODISARM;
    signal_set_blocked(t, frame.ucontext.mask);
    return (long)regs->rax;
}

long sys_rt_sigreturn(struct call *c)
{
    return signal_frame_leave(c->task, c->regs);
}
