/*
 * t_signals.c: signals: handlers and what they are told, masks, stacks, restarts, faults, queues.
 */
#include <fcntl.h>
#include <immintrin.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "tests/vm/guest/check.h"

static volatile sig_atomic_t count, last;
static volatile siginfo_t last_info;
static sigset_t mask_inside; /* read after calls only, which may change it */

static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    count++;
    last = number;
    last_info = *info;
    sigprocmask(SIG_BLOCK, NULL, &mask_inside);
}

static int install(int number, int flags)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | flags};

    sigaddset(&action.sa_mask, SIGUSR2);
    count = last = 0;
    return sigaction(number, &action, NULL);
}

static void test_handler(void)
{
    struct sigaction old;

    CHECK(install(SIGUSR1, 0) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(count == 1 && last == SIGUSR1);
    CHECK(last_info.si_pid == getpid() && last_info.si_code == SI_USER);
    CHECK(sigismember(&mask_inside, SIGUSR1) && sigismember(&mask_inside, SIGUSR2));
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask_inside) == 0);
    CHECK(!sigismember(&mask_inside, SIGUSR1));
    CHECK(raise(SIGUSR1) == 0 && count == 2 && last_info.si_code == SI_TKILL);
    CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_sigaction == handle);
    CHECK(install(SIGUSR1, SA_RESETHAND | SA_NODEFER) == 0);
    CHECK(raise(SIGUSR1) == 0 && count == 1 && !sigismember(&mask_inside, SIGUSR1));
    CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    CHECK_ERRNO(install(SIGKILL, 0), EINVAL);
    CHECK_ERRNO(kill(getpid(), 100), EINVAL);
}

static void test_mask(void)
{
    sigset_t set, pending;

    CHECK(install(SIGUSR1, 0) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
    CHECK(count == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(count == 1); /* a standard signal waits once */
    signal(SIGUSR1, SIG_IGN);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
    CHECK_ERRNO(sigprocmask(99, &set, NULL), EINVAL);
}

static void test_queue(void)
{
    union sigval value = {.sival_int = 1};
    sigset_t set;

    CHECK(install(SIGRTMIN, 0) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (value.sival_int = 1; value.sival_int <= 3; value.sival_int++)
        CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(count == 3 && last_info.si_value.sival_int == 3 && last_info.si_code == SI_QUEUE);
}

static void test_suspend(void)
{
    sigset_t set, none;

    CHECK(install(SIGUSR1, 0) == 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK(raise(SIGUSR1) == 0 && count == 0);
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK(count == 1);
    sigprocmask(SIG_BLOCK, NULL, &none);
    CHECK(sigismember(&none, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_wait_for(void)
{
    struct timespec none = {0, 10000000};
    siginfo_t info;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_ERRNO(sigtimedwait(&set, &info, &none), EAGAIN);
    CHECK(kill(getpid(), SIGUSR2) == 0);
    CHECK(sigtimedwait(&set, &info, &none) == SIGUSR2 && info.si_pid == getpid());
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static volatile uintptr_t stack_seen;

static void handle_on_stack(int number)
{
    stack_t now;

    (void)number;
    stack_seen = (uintptr_t)__builtin_frame_address(0);
    sigaltstack(NULL, &now);
    count = now.ss_flags & SS_ONSTACK ? 1 : 2;
}

static void test_alternate_stack(void)
{
    size_t size = 65536;
    char *block = malloc(size);
    stack_t fresh = {.ss_sp = block, .ss_size = size}, old;
    struct sigaction action = {.sa_handler = handle_on_stack, .sa_flags = SA_ONSTACK};

    CHECK(sigaltstack(&fresh, &old) == 0 && (old.ss_flags & SS_DISABLE));
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0);
    CHECK(stack_seen > (uintptr_t)block && stack_seen < (uintptr_t)block + size && count == 1);
    fresh.ss_size = 100;
    CHECK_ERRNO(sigaltstack(&fresh, NULL), ENOMEM);
    fresh = (stack_t){.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&fresh, NULL) == 0);
    free(block);
}

static sigjmp_buf back;
static volatile int fault_code;
static void *volatile fault_at;

static void fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    fault_code = info->si_code;
    fault_at = info->si_addr;
    siglongjmp(back, number);
}

static int fault_of(void (*cause)(void))
{
    int number = sigsetjmp(back, 1);

    if (number == 0)
        cause();
    return number;
}

static void cause_segv(void)
{
    *(volatile int *)bad_address() = 1;
}

static volatile int zero;

static void cause_fpe(void)
{
    __asm__ volatile("cltd; idivl %0" ::"r"(zero), "a"(1) : "edx");
}

static void cause_ill(void)
{
    __asm__ volatile("ud2");
}

static void cause_trap(void)
{
    __asm__ volatile("int3");
}

static void cause_protection(void)
{
    __asm__ volatile("hlt");
}

static void cause_noncanonical(void)
{
    *(volatile int *)0x8000000000000000ul = 1;
}

static void cause_bus(void)
{
    int fd = open("/tmp/t_signals.bus", O_RDWR | O_CREAT | O_TRUNC, 0600);
    volatile char *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    unlink("/tmp/t_signals.bus");
    close(fd);
    (void)*at; /* the file is empty: there is no page */
}

static void test_faults(void)
{
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    static const int numbers[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};

    for (size_t i = 0; i < 5; i++)
        CHECK(sigaction(numbers[i], &action, NULL) == 0);
    CHECK(fault_of(cause_segv) == SIGSEGV);
    CHECK(fault_at == bad_address() && fault_code == SEGV_MAPERR);
    CHECK(fault_of(cause_fpe) == SIGFPE && fault_code == FPE_INTDIV);
    CHECK(fault_of(cause_ill) == SIGILL && fault_code == ILL_ILLOPN);
    CHECK(fault_of(cause_trap) == SIGTRAP);
    CHECK(fault_of(cause_protection) == SIGSEGV && fault_code == SI_KERNEL);
    CHECK(fault_of(cause_noncanonical) == SIGSEGV);
    CHECK(fault_of(cause_bus) == SIGBUS && fault_code == BUS_ADRERR);
    for (size_t i = 0; i < 5; i++)
        signal(numbers[i], SIG_DFL);
}

static int end_of(void (*cause)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        cause();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void cause_blocked_segv(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGSEGV, SIG_IGN);
    cause_segv();
}

static void cause_abort(void)
{
    abort();
}

static void cause_pipe(void)
{
    int p[2];

    if (pipe(p) == 0 && close(p[0]) == 0)
        zero = (int)write(p[1], "x", 1);
}

static void test_deaths(void)
{
    CHECK(end_of(cause_segv) == SIGSEGV);
    CHECK(end_of(cause_fpe) == SIGFPE);
    CHECK(end_of(cause_ill) == SIGILL);
    CHECK(end_of(cause_blocked_segv) == SIGSEGV);
    CHECK(end_of(cause_abort) == SIGABRT);
    CHECK(end_of(cause_pipe) == SIGPIPE);
    zero = 0;
}

static pthread_t main_thread;

static void *signal_later(void *arg)
{
    usleep(200000);
    pthread_kill(main_thread, SIGUSR1);
    usleep(200000);
    if (write(*(int *)arg, "x", 1) != 1)
        return (void *)1;
    return NULL;
}

static void test_restart(void)
{
    pthread_t thread;
    struct pollfd fd;
    int p[2];
    char c;

    main_thread = pthread_self();
    CHECK(pipe(p) == 0);
    CHECK(install(SIGUSR1, SA_RESTART) == 0);
    CHECK(pthread_create(&thread, NULL, signal_later, &p[1]) == 0);
    CHECK(read(p[0], &c, 1) == 1 && count == 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(install(SIGUSR1, 0) == 0);
    CHECK(pthread_create(&thread, NULL, signal_later, &p[1]) == 0);
    CHECK_ERRNO(read(p[0], &c, 1), EINTR);
    CHECK(count == 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(read(p[0], &c, 1) == 1);
    /* poll never restarts when a handler ran */
    CHECK(install(SIGUSR1, SA_RESTART) == 0);
    CHECK(pthread_create(&thread, NULL, signal_later, &p[1]) == 0);
    fd = (struct pollfd){p[0], POLLIN, 0};
    CHECK_ERRNO(poll(&fd, 1, 60000), EINTR);
    CHECK(pthread_join(thread, NULL) == 0);
    close(p[0]), close(p[1]);
}

static void test_sleep(void)
{
    struct timespec nap = {1000, 0}, left = {0, 0};
    struct itimerval timer = {{0, 0}, {0, 300000}}, old;
    unsigned left_s;

    CHECK(install(SIGALRM, SA_RESTART) == 0);
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    CHECK_ERRNO(nanosleep(&nap, &left), EINTR);
    CHECK(count == 1 && left.tv_sec > 0 && left.tv_sec < 1000);
    timer.it_value.tv_sec = 100;
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_sec > 0);
    left_s = alarm(0);
    CHECK(left_s > 0 && left_s <= 101);
    CHECK(alarm(0) == 0);
}

static void test_child(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};
    int status;
    pid_t pid;

    CHECK(install(SIGCHLD, SA_RESTART) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(6);
    CHECK(waitpid(pid, &status, 0) == pid);
    for (int i = 0; i < 60000 && count == 0; i++)
        usleep(1000);
    CHECK(count == 1 && last_info.si_pid == pid && last_info.si_status == 6 &&
          last_info.si_code == CLD_EXITED);
    CHECK(sigaction(SIGCHLD, &ignore, NULL) == 0);
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK(sigaction(SIGCHLD, &normal, NULL) == 0);
}

/* The handler spoils the vector registers; the interrupted code must not notice. */
static void spoil(int number)
{
    (void)number;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
                         : "xmm0", "xmm7", "xmm15");
    count++;
}

static void test_vector_registers(void)
{
    struct sigaction action = {.sa_handler = spoil};
    uint64_t a = 0x1122334455667788, b = 0;
    long pid = getpid(), result;

    count = 0;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    __asm__ volatile("movq %2, %%xmm7\n\t"
                     "mov $62, %%eax\n\t"
                     "syscall\n\t"
                     "movq %%xmm7, %1"
                     : "=&a"(result), "=r"(b)
                     : "r"(a), "D"(pid), "S"((long)SIGUSR1)
                     : "rcx", "r11", "memory", "xmm7");
    CHECK(result == 0 && count == 1);
    CHECK(a == b);
}

static void change_context(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;

    (void)number;
    (void)info;
    u->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
    u->uc_mcontext.gregs[REG_RBX] = 77;
    count++;
}

static void test_context(void)
{
    struct sigaction action = {.sa_sigaction = change_context, .sa_flags = SA_SIGINFO};
    long rbx = 5;

    count = 0;
    CHECK(sigaction(SIGILL, &action, NULL) == 0);
    __asm__ volatile("ud2" : "+b"(rbx));
    CHECK(count == 1 && rbx == 77);
    signal(SIGILL, SIG_DFL);
}

static volatile int stop_spinning;

static void *spin(void *arg)
{
    while (!stop_spinning)
        ;
    return arg;
}

static void stop(int number)
{
    (void)number;
    stop_spinning = 1;
}

/* A thread that never enters the kernel gets its signal, too. */
static void test_busy_thread(void)
{
    struct sigaction action = {.sa_handler = stop};
    pthread_t thread;

    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, spin, NULL) == 0);
    usleep(10000);
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"handler", test_handler},   {"mask", test_mask},
        {"queue", test_queue},       {"suspend", test_suspend},
        {"wait_for", test_wait_for}, {"alternate_stack", test_alternate_stack},
        {"faults", test_faults},     {"deaths", test_deaths},
        {"restart", test_restart},   {"sleep", test_sleep},
        {"child", test_child},       {"vector_registers", test_vector_registers},
        {"context", test_context},   {"busy_thread", test_busy_thread},
    };

    if (argc == 2 && strcmp(argv[1], "die") == 0)
        cause_segv();
    return RUN_TESTS(tests, argc, argv);
}
