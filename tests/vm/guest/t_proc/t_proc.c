/*
 * t_proc.c: what /proc and /sys tell of processes, their threads and the machine, in the form in
 * which programs read it.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define THREADS 5

/* A file's text; "" when there is none. */
static const char *text_of(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY);
    ssize_t n, size = 0;

    while (fd >= 0 && (n = read(fd, text + size, sizeof(text) - 1 - (size_t)size)) > 0)
        size += n;
    close(fd);
    text[size] = '\0';
    return text;
}

/* What follows a name at the start of a line; NULL: there is none. */
static const char *field(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0)
            return line + length;
    }
    return NULL;
}

static bool field_is(const char *text, const char *name, const char *value)
{
    const char *at = field(text, name);

    return at && strncmp(at, value, strlen(value)) == 0 && at[strlen(value)] == '\n';
}

static int entries_of(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;

    if (!folder)
        return -1;
    for (struct dirent *e; (e = readdir(folder));)
        count += isdigit((unsigned char)e->d_name[0]) != 0;
    closedir(folder);
    return count;
}

static bool writes(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;

    close(fd);
    errno = error;
    return written;
}

/* ---- Threads ---- */

static pthread_barrier_t started, looked;
static int numbers[THREADS];

static void *stand(void *argument)
{
    numbers[(int *)argument - numbers] = (int)syscall(SYS_gettid);
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&looked);
    return NULL;
}

/* With THREADS threads that stand, looks; lets them end. */
static bool with_threads(bool (*look)(const pthread_t *))
{
    pthread_t threads[THREADS];
    bool good;

    pthread_barrier_init(&started, NULL, THREADS + 1);
    pthread_barrier_init(&looked, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, stand, &numbers[i]) != 0)
            return false;
    pthread_barrier_wait(&started);
    good = look(threads);
    pthread_barrier_wait(&looked);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return good;
}

static bool tasks_are_listed(const pthread_t *threads)
{
    char path[80], number[24];

    (void)threads;
    if (entries_of("/proc/self/task") != THREADS + 1)
        return false;
    for (int i = 0; i < THREADS; i++) {
        snprintf(path, sizeof(path), "/proc/%d/task/%d/status", getpid(), numbers[i]);
        snprintf(number, sizeof(number), "\t%d", numbers[i]);
        if (!field_is(text_of(path), "Pid:", number))
            return false;
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", numbers[i]);
        if (atoi(text_of(path)) != numbers[i])
            return false;
    }
    return field_is(text_of("/proc/self/status"), "Threads:", "\t6");
}

static void test_tasks(void)
{
    CHECK(with_threads(tasks_are_listed));
    CHECK(access("/proc/self/task/1", F_OK) == -1 || getpid() == 1);
    CHECK(access("/proc/self/task/self", F_OK) == -1 && errno == ENOENT);
    CHECK(access("/proc/self/task/0", F_OK) == -1 && errno == ENOENT);
}

static bool tasks_have_names(const pthread_t *threads)
{
    char name[16];

    return pthread_setname_np(threads[1], "worker one") == 0 &&
           pthread_setname_np(threads[2], "a name that is much too long") == ERANGE &&
           pthread_getname_np(threads[1], name, sizeof(name)) == 0 &&
           strcmp(name, "worker one") == 0 &&
           pthread_getname_np(threads[3], name, sizeof(name)) == 0 && strcmp(name, "t_proc") == 0 &&
           strcmp(text_of("/proc/self/comm"), "t_proc\n") == 0;
}

static void test_names(void)
{
    char name[16];

    CHECK(prctl(PR_SET_NAME, "t_proc") == 0);
    CHECK(with_threads(tasks_have_names));
    CHECK(writes("/proc/self/comm", "a much longer name\n"));
    CHECK(strcmp(text_of("/proc/self/comm"), "a much longer n\n") == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a much longer n") == 0);
    CHECK(prctl(PR_SET_NAME, "t_proc") == 0);
    CHECK(strstr(text_of("/proc/thread-self/status"), "Name:\tt_proc\n") != NULL);
}

/* ---- A process ---- */

static void test_status(void)
{
    static const char *const names[] = {"Name:",   "Umask:",  "State:",  "Tgid:",   "Pid:",
                                        "PPid:",   "Uid:",    "Gid:",    "VmSize:", "VmRSS:",
                                        "VmHWM:",  "VmPeak:", "Threads:", "SigBlk:", "SigCgt:",
                                        "CapEff:", "Seccomp:", "voluntary_ctxt_switches:"};
    mode_t before = umask(0027);
    cpu_set_t one;

    CHECK(field_is(text_of("/proc/self/status"), "Umask:", "\t0027"));
    umask(before);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK(field(text_of("/proc/self/status"), names[i]));
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    CHECK(field_is(text_of("/proc/self/status"), "Cpus_allowed_list:", "\t0"));
}

static void test_descriptors(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), low = fd;
    char path[64];

    CHECK(fd >= 0 && lseek(fd, 1234, SEEK_SET) == 1234);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    CHECK(field_is(text_of(path), "pos:", "\t1234"));
    CHECK(field(text_of(path), "flags:") && field(text_of(path), "mnt_id:"));
    CHECK(entries_of("/proc/self/fdinfo") == entries_of("/proc/self/fd"));
    close(low);
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/self/fdinfo/x", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/self/fdinfo/-1", O_RDONLY), ENOENT);
}

static void test_adjustment(void)
{
    int status;
    pid_t child;

    CHECK(strcmp(text_of("/proc/self/oom_score_adj"), "0\n") == 0);
    CHECK(writes("/proc/self/oom_score_adj", "123"));
    CHECK(strcmp(text_of("/proc/self/oom_score_adj"), "123\n") == 0);
    CHECK(!writes("/proc/self/oom_score_adj", "1001") && errno == EINVAL);
    CHECK(!writes("/proc/self/oom_score_adj", "-1001\n") && errno == EINVAL);
    CHECK(!writes("/proc/self/oom_score_adj", "many") && errno == EINVAL);
    child = fork();
    if (child == 0)
        _exit(strcmp(text_of("/proc/self/oom_score_adj"), "123\n") != 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(writes("/proc/self/oom_score_adj", "0\n"));
}

static void test_groups(void)
{
    CHECK(strstr(text_of("/proc/self/cgroup"), ":/"));
    CHECK(strstr(text_of("/proc/self/uid_map"), "         0          0 4294967295\n"));
    CHECK(strcmp(text_of("/proc/self/setgroups"), "allow\n") == 0);
}

/* ---- The machine ---- */

static void test_load(void)
{
    double one[3], two[3];
    int running, all, last;

    CHECK(sscanf(text_of("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &one[0], &one[1], &one[2],
                 &running, &all, &last) == 6);
    CHECK(running >= 1 && all >= running && last >= getpid());
    CHECK(getloadavg(two, 3) == 3);
    for (int i = 0; i < 3; i++)
        CHECK(one[i] >= 0 && two[i] >= 0);
}

static void test_processors(void)
{
    static const char *const names[] = {"processor\t: 0", "vendor_id\t: ", "cpu family\t: ",
                                        "model\t\t: ",     "model name\t: ", "stepping\t: ",
                                        "cpu MHz\t\t: ",   "core id\t\t: ",  "cpu cores\t: ",
                                        "apicid\t\t: ",    "flags\t\t: ",    "bogomips\t: ",
                                        "clflush size\t: ", "address sizes\t: "};
    static const char *const flags[] = {" fpu ", " sse2 ", " syscall ", " nx ", " lm "};
    char range[32];
    long count = sysconf(_SC_NPROCESSORS_CONF);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK(field(text_of("/proc/cpuinfo"), names[i]));
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        CHECK(strstr(text_of("/proc/cpuinfo"), flags[i]));
    snprintf(range, sizeof(range), count > 1 ? "0-%ld\n" : "0\n", count - 1);
    CHECK(strcmp(text_of("/sys/devices/system/cpu/present"), range) == 0);
    CHECK(strcmp(text_of("/sys/devices/system/cpu/cpu0/topology/physical_package_id"), "0\n") == 0);
    CHECK(strcmp(text_of("/sys/devices/system/node/online"), "0\n") == 0);
}

static void test_memory(void)
{
    static const char *const names[] = {"MemTotal:", "MemFree:",  "MemAvailable:", "Buffers:",
                                        "Cached:",   "Active:",   "Inactive:",     "SwapTotal:",
                                        "SwapFree:", "Shmem:",    "SReclaimable:", "Slab:",
                                        "Hugepagesize:"};
    const char *mode;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK(field(text_of("/proc/meminfo"), names[i]));
    mode = text_of("/sys/kernel/mm/transparent_hugepage/enabled");
    CHECK(strstr(mode, "always") && strstr(mode, "madvise") && strchr(mode, '['));
}

static bool is_uuid(const char *text)
{
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return text[14] == '4' && text[36] == '\n' && text[37] == '\0';
}

static void test_numbers(void)
{
    char first[64];

    CHECK(is_uuid(text_of("/proc/sys/kernel/random/boot_id")));
    strcpy(first, text_of("/proc/sys/kernel/random/boot_id"));
    CHECK(strcmp(first, text_of("/proc/sys/kernel/random/boot_id")) == 0);
    CHECK(is_uuid(text_of("/proc/sys/kernel/random/uuid")));
    strcpy(first, text_of("/proc/sys/kernel/random/uuid"));
    CHECK(strcmp(first, text_of("/proc/sys/kernel/random/uuid")) != 0);
    CHECK(atoi(text_of("/proc/sys/kernel/pid_max")) > 1000);
    CHECK(atoi(text_of("/proc/sys/kernel/cap_last_cap")) >= 36);
    CHECK(strstr(text_of("/proc/filesystems"), "nodev\tproc\n"));
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    return close(fd) == 0 && done;
}

/* The machine's names; only in a machine of our own they are set. */
static void test_machine_names(void)
{
    struct utsname name;
    char long_name[66] = "";

    CHECK(uname(&name) == 0 && strcmp(name.sysname, "Linux") == 0);
    CHECK(strncmp(text_of("/proc/sys/kernel/hostname"), name.nodename, strlen(name.nodename)) == 0);
    if (access("/proc/malv/objects", R_OK) != 0)
        return;
    CHECK(sethostname("first", 5) == 0 && setdomainname("second", 6) == 0 && uname(&name) == 0);
    CHECK(strcmp(name.nodename, "first") == 0 && strcmp(name.domainname, "second") == 0);
    CHECK(strcmp(text_of("/proc/sys/kernel/hostname"), "first\n") == 0);
    CHECK(write_text("/proc/sys/kernel/hostname", "third\nline") && uname(&name) == 0);
    CHECK(strcmp(name.nodename, "third") == 0);
    memset(long_name, 'n', 65);
    CHECK(sethostname(long_name, 64) == 0 && uname(&name) == 0 && strlen(name.nodename) == 64);
    CHECK_ERRNO(sethostname(long_name, 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_sethostname, long_name, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sethostname, bad_address(), 5), EFAULT);
    CHECK(sethostname("", 0) == 0 && uname(&name) == 0 && name.nodename[0] == '\0');
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"tasks", test_tasks},
        {"names", test_names},
        {"status", test_status},
        {"descriptors", test_descriptors},
        {"adjustment", test_adjustment},
        {"groups", test_groups},
        {"load", test_load},
        {"processors", test_processors},
        {"memory", test_memory},
        {"numbers", test_numbers},
        {"machine_names", test_machine_names},
    };

    return RUN_TESTS(tests, argc, argv);
}
