/*
 * choices.c: policies of processes, of the trees that grow from them, and of programs by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define PROGRAM "/tmp/lab_program"
#define ROUNDS  300

int who_main(const char *policy)
{
    return decided_by(policy) ? 0 : 1;
}

/* Runs a test in a child; true: it said so. */
static bool in_child(bool (*run)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(run() ? 0 : 1);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool chosen(const char *policy, const char *whom)
{
    char line[128], pid[16];
    size_t length;

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    length = (size_t)snprintf(line, sizeof(line), "lab %s ", policy);
    snprintf(line + length, sizeof(line) - length, strcmp(whom, "self") ? "name %s\n" : "pid %s\n",
             strcmp(whom, "self") ? whom : pid);
    return file_has(CHOICES, line);
}

static bool good_decides(void)
{
    return decided_by("good");
}

static bool plain_decides(void)
{
    return decided_by("plain");
}

bool choice_of_process(void)
{
    NEED(file_put(LAB "policy", "plain") == 0);
    NEED(decided_by("plain"));
    NEED(file_put(CHOICES, "lab=good pid=self") == 0);
    NEED(decided_by("good"));
    NEED(chosen("good", "self"));
    NEED(file_has(LAB "policy", "[plain]"));
    NEED(file_put(CHOICES, "lab=bad pid=self\n") == 0);
    NEED(decided_by("bad"));
    NEED(!chosen("good", "self"));
    NEED(file_put(CHOICES, "lab=machine pid=self") == 0);
    NEED(decided_by("plain"));
    NEED(!chosen("bad", "self"));
    NEED(file_put(CHOICES, "lab= pid=self") == 0); /* there is nothing to take back */
    return true;
}

/* A child of before the choice has none; one of after has it, also when its parent takes it back. */
static bool tree(void)
{
    int before[2], after[2], status;
    pid_t old, new;
    char c = 0;

    if (pipe(before) != 0 || pipe(after) != 0)
        return false;
    old = fork();
    if (old == 0)
        _exit(read(before[0], &c, 1) == 1 && decided_by("plain") ? 0 : 1);
    if (file_put(CHOICES, "lab=good pid=self") != 0)
        return false;
    new = fork();
    if (new == 0)
        _exit(read(after[0], &c, 1) == 1 && decided_by("good") && in_child(good_decides) ? 0 : 1);
    if (file_put(CHOICES, "lab=machine pid=self") != 0 || !decided_by("plain") || !in_child(plain_decides))
        return false;
    if (write(before[1], &c, 1) != 1 || write(after[1], &c, 1) != 1)
        return false;
    return waitpid(old, &status, 0) == old && status == 0 && waitpid(new, &status, 0) == new && status == 0;
}

bool choice_tree(void)
{
    NEED(in_child(tree));
    NEED(decided_by("plain"));
    NEED(file_is(CHOICES, "")); /* whoever had one has ended */
    return true;
}

static pthread_barrier_t chosen_now;

/* file_text() is for one thread. */
static void *thread_ask(void *first)
{
    char text[32] = "";
    int fd;

    if (first)
        pthread_barrier_wait(&chosen_now);
    fd = open(ASK, O_RDONLY);
    if (read(fd, text, sizeof(text) - 1) <= 0)
        return NULL;
    close(fd);
    return strcmp(text, "good\n") ? NULL : &chosen_now;
}

/* Threads that are there already, and those that come. */
static bool threads(void)
{
    pthread_t there, later;
    void *a = NULL, *b = NULL;

    pthread_barrier_init(&chosen_now, NULL, 2);
    if (pthread_create(&there, NULL, thread_ask, &chosen_now) != 0 ||
        file_put(CHOICES, "lab=good pid=self") != 0)
        return false;
    pthread_barrier_wait(&chosen_now);
    pthread_join(there, &a);
    if (pthread_create(&later, NULL, thread_ask, NULL) != 0)
        return false;
    pthread_join(later, &b);
    return a && b;
}

bool choice_threads(void)
{
    NEED(in_child(threads));
    return true;
}

static char other[64]; /* "lab=good pid=" of a process of root's */

static bool stranger(void)
{
    if (setgid(1000) != 0 || setuid(1000) != 0)
        return false;
    return file_put(CHOICES, other) == EPERM && file_put(CHOICES, "lab=good name=sh") == EPERM &&
           file_put(CHOICES, "lab= name=sh") == EPERM && file_put(LAB "policy", "good") == EACCES &&
           file_put(LAB "guard", "off") == EACCES && file_put(LAB "shadow", "none") == EACCES &&
           file_put(LAB "pilot", "none") == EACCES && file_put(MLAAS "profile", "x") == EACCES &&
           file_put(CHOICES, "lab=good pid=self") == 0 && decided_by("good");
}

bool choice_rights(void)
{
    char line[64];
    int status;
    pid_t child;

    snprintf(other, sizeof(other), "lab=good pid=%d", (int)getpid());
    NEED(in_child(stranger));
    NEED(decided_by("plain"));
    /* Root may choose for a child, until it has ended. */
    child = fork();
    if (child == 0) {
        setuid(1000);
        pause();
    }
    snprintf(line, sizeof(line), "lab=good pid=%d", (int)child);
    NEED(file_put(CHOICES, line) == 0);
    NEED(file_has(CHOICES, "lab good pid"));
    kill(child, SIGKILL);
    while (file_has(CHOICES, "lab good pid")) /* a zombie has no choices */
        usleep(1000);
    NEED(file_put(CHOICES, line) == ESRCH);
    NEED(waitpid(child, &status, 0) == child);
    NEED(file_put(CHOICES, line) == ESRCH);
    NEED(file_put(CHOICES, "lab=good pid=4194304") == ESRCH);
    return true;
}

static bool program_says(const char *policy)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        execl(PROGRAM, PROGRAM, "who", policy, NULL);
        _exit(9);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

bool choice_by_name(void)
{
    unlink(PROGRAM);
    NEED(symlink("/bin/t_mlaas", PROGRAM) == 0);
    NEED(program_says("plain"));
    NEED(file_put(CHOICES, "lab=good name=lab_program") == 0);
    NEED(chosen("good", "lab_program"));
    NEED(program_says("good"));
    NEED(decided_by("plain"));
    NEED(file_put(CHOICES, "lab=bad name=lab_program") == 0);
    NEED(!chosen("good", "lab_program"));
    NEED(program_says("bad"));
    NEED(file_put(CHOICES, "lab= name=lab_program") == 0);
    NEED(program_says("plain"));
    NEED(file_put(CHOICES, "lab= name=lab_program") == ENOENT);
    NEED(file_is(CHOICES, ""));
    unlink(PROGRAM);
    return true;
}

/* Each asks as long as the others do, and always gets its own. */
static pid_t asker(const char *policy)
{
    char line[64];
    pid_t child = fork();

    if (child != 0)
        return child;
    snprintf(line, sizeof(line), "lab=%s pid=self", policy);
    if (file_put(CHOICES, line) != 0)
        _exit(1);
    for (unsigned i = 0; i < ROUNDS; i++)
        if (!decided_by(policy))
            _exit(1);
    _exit(0);
}

bool choices_at_once(void)
{
    static const char *const policies[] = {"good", "bad", "plain"};
    pid_t children[6];
    int status;
    long switches = stat_of("switches");

    for (unsigned i = 0; i < 6; i++)
        children[i] = asker(policies[i % 3]);
    for (unsigned i = 0; i < ROUNDS; i++)
        NEED(decided_by("plain"));
    for (unsigned i = 0; i < 6; i++) {
        NEED(waitpid(children[i], &status, 0) == children[i]);
        NEED(status == 0);
    }
    NEED(stat_of("switches") == switches); /* the machine's stayed */
    return true;
}

bool choice_errors(void)
{
    static const char *const bad[] = {
        "", "lab", "lab=good", "lab=good pid", "lab=good pid=", "lab=good pid=0", "lab=good pid=-1",
        "lab=good pid=x", "lab=good pid=selfish", "lab=good pid=1x", "lab=good pid=99999999999", "=good pid=self",
        "lab=good name=", "lab=good name=a b", "lab=good name=a pid=1", "lab good pid=self", "lab=good=x pid=self",
        "lab=a_name_that_is_longer_than_any_policy pid=self", "lab=good  who=self",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int error = file_put(CHOICES, bad[i]);

        if (error != EINVAL && bad[i][0])
            printf("\"%s\": error %d\n", bad[i], error);
        NEED(error == EINVAL || !bad[i][0]);
    }
    NEED(file_put(CHOICES, "no_class=good pid=self") == ENOENT);
    NEED(file_put(CHOICES, "lab=no_policy pid=self") == ENOENT);
    NEED(file_put(CHOICES, "lab=no_policy name=sh") == ENOENT);
    NEED(file_is(CHOICES, ""));
    NEED(decided_by("plain"));
    return true;
}
