/*
 * t_vdso.c: the shared object that the kernel maps into every program: that it is one, and that
 * what it says fits what the calls say, also when somebody sets the clock.
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/vm/guest/check.h"

#define PAGE       4096ul
#define NS_PER_SEC 1000000000ll

static const Elf64_Ehdr *object(void)
{
    return (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
}

/* An entry of the dynamic section, as an address. */
static const void *dynamic_entry(int64_t tag)
{
    const char *base = (const char *)object();
    const Elf64_Phdr *p = (const Elf64_Phdr *)(base + object()->e_phoff);

    for (unsigned i = 0; i < object()->e_phnum; i++) {
        const Elf64_Dyn *d = (const Elf64_Dyn *)(base + p[i].p_offset);

        if (p[i].p_type != PT_DYNAMIC)
            continue;
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == tag)
                return base + d->d_un.d_ptr;
    }
    return NULL;
}

/* The function of that name, found through the table of symbols as a C library does it. */
static void *find(const char *name)
{
    const Elf64_Sym *symbols = dynamic_entry(DT_SYMTAB);
    const char *strings = dynamic_entry(DT_STRTAB);
    const Elf64_Word *hash = dynamic_entry(DT_HASH);
    const uint32_t *gnu = dynamic_entry(DT_GNU_HASH);
    unsigned count = hash ? hash[1] : 0;

    if (!symbols || !strings)
        return NULL;
    if (!hash && gnu) /* newer Linux has only this one: its last symbol ends the longest chain */
        count = 32;
    for (unsigned i = 1; i < count; i++)
        if (strcmp(strings + symbols[i].st_name, name) == 0)
            return (char *)object() + symbols[i].st_value;
    return NULL;
}

typedef int clock_call(clockid_t clock, struct timespec *out);
typedef int cpu_call(unsigned *cpu, unsigned *node, void *unused);
typedef int day_call(struct timeval *out, struct timezone *zone);
typedef time_t time_call(time_t *out);

static void test_object(void)
{
    CHECK(object() != NULL);
    CHECK(memcmp(object()->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK(object()->e_type == ET_DYN && object()->e_machine == EM_X86_64);
    CHECK(find("__vdso_clock_gettime") != NULL);
    CHECK(find("__vdso_gettimeofday") != NULL);
    CHECK(find("__vdso_time") != NULL);
    CHECK(find("__vdso_clock_getres") != NULL);
    CHECK(find("__vdso_getcpu") != NULL);
    CHECK(find("__vdso_nothing") == NULL);
}

static void test_version(void)
{
    const Elf64_Verdef *v = dynamic_entry(DT_VERDEF);
    const char *strings = dynamic_entry(DT_STRTAB);
    bool found = false;

    CHECK(v != NULL);
    for (unsigned i = 0; i < 2; i++) {
        const Elf64_Verdaux *name = (const Elf64_Verdaux *)((const char *)v + v->vd_aux);

        found |= strcmp(strings + name->vda_name, "LINUX_2.6") == 0;
        v = (const Elf64_Verdef *)((const char *)v + v->vd_next);
    }
    CHECK(found);
}

static int64_t by_call(clockid_t clock)
{
    struct timespec t;

    return syscall(SYS_clock_gettime, clock, &t) == 0 ? t.tv_sec * NS_PER_SEC + t.tv_nsec : -1;
}

static int64_t by_object(clockid_t clock)
{
    clock_call *read = (clock_call *)find("__vdso_clock_gettime");
    struct timespec t;

    return read(clock, &t) == 0 ? t.tv_sec * NS_PER_SEC + t.tv_nsec : -1;
}

/* A reading between two calls lies between what they say. */
static void check_between(clockid_t clock)
{
    for (int i = 0; i < 1000; i++) {
        int64_t before = by_call(clock), here = by_object(clock), after = by_call(clock);

        CHECK(before > 0 && before <= here && here <= after);
    }
}

static void test_clocks(void)
{
    check_between(CLOCK_MONOTONIC);
    check_between(CLOCK_REALTIME);
    check_between(CLOCK_BOOTTIME);
    check_between(CLOCK_MONOTONIC_RAW);
    check_between(CLOCK_TAI);
}

static void test_other_clocks(void)
{
    clock_call *read = (clock_call *)find("__vdso_clock_gettime");
    struct timespec t;

    CHECK(by_object(CLOCK_PROCESS_CPUTIME_ID) > 0);
    CHECK(by_object(CLOCK_THREAD_CPUTIME_ID) > 0);
    CHECK(read(9999, &t) == -EINVAL);
    clockid_t clock;
    CHECK(clock_getcpuclockid(0, &clock) == 0 && by_object(clock) > 0 && by_call(clock) > 0);
    CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0 && by_object(clock) > 0);
    CHECK(read((clockid_t)((~0x3ffffeu << 3) | 2), &t) == -EINVAL);
    CHECK(by_object(CLOCK_MONOTONIC_COARSE) > 0 && by_object(CLOCK_REALTIME_COARSE) > 0);
}

static void test_resolution(void)
{
    clock_call *resolution = (clock_call *)find("__vdso_clock_getres");
    struct timespec t = {5, 5}, call;

    CHECK(resolution(CLOCK_MONOTONIC, &t) == 0);
    CHECK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &call) == 0);
    CHECK(t.tv_sec == call.tv_sec && t.tv_nsec == call.tv_nsec);
    CHECK(resolution(CLOCK_REALTIME, NULL) == 0);
    CHECK(resolution(9999, &t) == -EINVAL);
}

static void test_day(void)
{
    day_call *day = (day_call *)find("__vdso_gettimeofday");
    time_call *seconds = (time_call *)find("__vdso_time");
    struct timeval t;
    struct timezone zone = {7, 7};

    for (int i = 0; i < 100; i++) {
        int64_t before = by_call(CLOCK_REALTIME) / 1000, here, after;

        CHECK(day(&t, NULL) == 0);
        here = t.tv_sec * 1000000ll + t.tv_usec;
        after = by_call(CLOCK_REALTIME) / 1000;
        CHECK(before <= here && here <= after);
    }
    CHECK(day(NULL, &zone) == 0 && day(NULL, NULL) == 0);
    CHECK(zone.tz_dsttime == 0);
    for (int i = 0; i < 100; i++) {
        time_t second, now = seconds(&second);

        CHECK(now == second && now <= by_call(CLOCK_REALTIME) / NS_PER_SEC);
    }
    CHECK(seconds(NULL) > 1000000000);
}

/* On each CPU the object says what the thread was pinned to, and readings never go back. */
static void test_cpus(void)
{
    cpu_call *where = (cpu_call *)find("__vdso_getcpu");
    cpu_set_t all, one;
    int64_t last = 0;

    CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int round = 0; round < 20; round++) {
        for (int cpu = 0; cpu < 64; cpu++) {
            unsigned said = 99, node = 99;
            int64_t now;

            if (!CPU_ISSET(cpu, &all))
                continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
            CHECK(where(&said, &node, NULL) == 0 && (int)said == cpu && node == 0);
            CHECK(where(NULL, NULL, NULL) == 0);
            now = by_object(CLOCK_MONOTONIC);
            CHECK(now >= last);
            last = now;
        }
    }
    CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
}

/* Two threads hand readings to each other: each is at least the other's last. */
static int64_t shared_reading;
static bool went_back;

static void *read_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        int64_t other = __atomic_load_n(&shared_reading, __ATOMIC_ACQUIRE);
        int64_t now = by_object(CLOCK_MONOTONIC);

        if (now < other)
            __atomic_store_n(&went_back, true, __ATOMIC_RELAXED);
        while (now > other && !__atomic_compare_exchange_n(&shared_reading, &other, now, false,
                                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            ;
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, read_on, NULL) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(!went_back);
}

/* The pages are the kernel's: neither can a program change the facts of others, nor is any page
 * both writable and executable. */
static void test_protection(void)
{
    char line[256];
    FILE *maps = fopen("/proc/self/maps", "r");
    bool code = false, both = false;

    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps)) {
        char rights[5];

        if (sscanf(line, "%*s %4s", rights) == 1) {
            both |= rights[1] == 'w' && rights[2] == 'x';
            code |= strstr(line, "[vdso]") && strcmp(rights, "r-xp") == 0;
        }
    }
    fclose(maps);
    CHECK(code && !both);
}

static void test_fork(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(by_call(CLOCK_MONOTONIC) <= by_object(CLOCK_MONOTONIC) ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* Who is nobody may set no clock. */
static bool refused_to_nobody(void)
{
    struct timespec t = {1000000000, 0};
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (getuid() == 0 && setuid(65534) != 0)
            _exit(1);
        _exit(clock_settime(CLOCK_REALTIME, &t) == 0 || errno != EPERM);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static void test_refusals_to_set(void)
{
    struct timespec t = {1000000000, 1000000000};
    struct timeval day = {5, 1000000};
    struct timespec own = {1, 0};

    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, bad_address()), EFAULT);
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &own), EINVAL);
    CHECK_ERRNO(clock_settime(CLOCK_BOOTTIME, &own), EINVAL);
    CHECK_ERRNO(clock_settime(CLOCK_PROCESS_CPUTIME_ID, &own), EINVAL);
    CHECK_ERRNO(clock_settime(77, &own), EINVAL);
    CHECK_ERRNO(settimeofday(&day, NULL), EINVAL);
    t = (struct timespec){-1, 0};
    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EINVAL);
    CHECK(refused_to_nobody());
}

static int64_t file_time(const char *path)
{
    struct stat s;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0 || stat(path, &s) != 0)
        return -1;
    return s.st_mtim.tv_sec;
}

/* Only in a machine: the clock of the system that runs this elsewhere is not ours to set. */
static void test_setting(void)
{
    const int64_t start = 3000000000;
    int64_t machine = by_object(CLOCK_MONOTONIC), before, now;
    struct timespec t = {start, 0};
    struct timeval day = {start + 1000, 0};
    struct stat old;

    if (access("/proc/malv/objects", R_OK) != 0)
        return;
    before = by_object(CLOCK_REALTIME) / NS_PER_SEC;
    CHECK(file_time("/tmp/before") >= before && file_time("/tmp/before") < before + 100);
    CHECK(clock_settime(CLOCK_REALTIME, &t) == 0);
    now = by_object(CLOCK_REALTIME) / NS_PER_SEC;
    CHECK(now >= start && now < start + 100 && by_call(CLOCK_REALTIME) / NS_PER_SEC >= now);
    now = file_time("/tmp/after");
    CHECK(now >= start && now < start + 100);
    CHECK(stat("/tmp/before", &old) == 0 && old.st_mtim.tv_sec < before + 100);
    CHECK(settimeofday(&day, NULL) == 0 && by_object(CLOCK_REALTIME) / NS_PER_SEC >= start + 1000);
    now = by_object(CLOCK_MONOTONIC);
    CHECK(now > machine && now < machine + 1000 * NS_PER_SEC);
    t = (struct timespec){0, 1}; /* before the machine started */
    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EINVAL);
    CHECK(unlink("/tmp/before") == 0 && unlink("/tmp/after") == 0);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"object", test_object},
        {"version", test_version},
        {"clocks", test_clocks},
        {"other_clocks", test_other_clocks},
        {"resolution", test_resolution},
        {"day", test_day},
        {"cpus", test_cpus},
        {"threads", test_threads},
        {"protection", test_protection},
        {"fork", test_fork},
        {"refusals_to_set", test_refusals_to_set},
        {"setting", test_setting},
    };

    return RUN_TESTS(tests, argc, argv);
}
