/* leftovers_test.c: what a gpud leaves in the folder for temporary files, killed or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "front.h"

static char folder[] = "/tmp/gpud-test-XXXXXX";

static unsigned caches_count(void)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *all = opendir(folder);
    assert_non_null(all);
    while ((entry = readdir(all)) != NULL)
        count += strncmp(entry->d_name, "gpud-cache-", 11) == 0;
    closedir(all);
    return count;
}

static pid_t start(const char *name, char *socket)
{
    const char *program = getenv("GPUD");
    snprintf(socket, 64, "%s/%s", folder, name);
    return gpud_start(program ? program : "build/host/gpud", socket, NULL);
}

static pid_t child_of(pid_t parent)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    FILE *children = fopen(path, "r");
    assert_non_null(children);
    assert_int_equal(fscanf(children, "%d", &child), 1);
    fclose(children);
    return child;
}

/* A keeper whose gpud was killed still removes its machine's folder. */
static void test_machine_of_a_killed_gpud_cleans_up(void **state)
{
    char one[64];
    (void)state;
    pid_t killed = start("zero", one);
    struct front *front = front_open(one, 16u << 20);
    assert_int_equal(caches_count(), 1);
    kill(killed, SIGKILL);
    assert_int_equal(waitpid(killed, NULL, 0), killed);
    assert_int_equal(caches_count(), 1);
    front_close(front);
    for (int waited = 0; caches_count() && waited < 60000; waited++)
        poll(NULL, 0, 1);
    assert_int_equal(caches_count(), 0);
    assert_int_equal(unlink(one), 0);
}

static void test_killed_gpud_is_cleaned_up_after(void **state)
{
    char one[64], two[64], three[64], own[64], links[64];
    (void)state;
    pid_t killed = start("one", one), alive = start("two", two);
    struct front *front = front_open(one, 16u << 20), *other = front_open(two, 16u << 20);
    assert_int_equal(caches_count(), 2);
    pid_t keeper = child_of(killed);
    kill(killed, SIGKILL);
    assert_int_equal(waitpid(killed, NULL, 0), killed);
    kill(keeper, SIGKILL); /* which lives on without it */
    char byte;
    assert_int_equal(read(front->socket, &byte, 1), 0);
    front_close(front);
    assert_int_equal(caches_count(), 2);

    /* What only looks like one stays, and so does what a link leads to. */
    snprintf(own, sizeof(own), "%s/own", folder);
    snprintf(links, sizeof(links), "%s/gpud-cache-linked", folder);
    assert_int_equal(mkdir(own, 0700), 0);
    assert_int_equal(symlink(own, links), 0);
    pid_t next = start("three", three);
    assert_int_equal(caches_count(), 2); /* of the one alive, and the link */
    assert_int_equal(access(own, F_OK), 0);
    assert_int_equal(unlink(links), 0);

    front_close(other);
    assert_int_equal(gpud_stop(alive), 0);
    assert_int_equal(gpud_stop(next), 0);
    assert_int_equal(caches_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine_of_a_killed_gpud_cleans_up),
        cmocka_unit_test(test_killed_gpud_is_cleaned_up_after),
    };
    char command[64];
    if (!mkdtemp(folder))
        return 1;
    setenv("TMPDIR", folder, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) || failed;
}
