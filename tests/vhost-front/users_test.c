/*
 * users_test.c: whose gpud's processes are. Where it is root's, each machine's front and device process are users
 * of their own, and so is its folder; elsewhere all is of one user, and there is little to see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rig.h"

#define GPU_GROUPS 16u /* that devices of the host may be open to */

static char folder[] = "/tmp/gpud-users-XXXXXX";

static const char writer[] = "kernel void writer(global int *c) { c[0] = %u; }";

/* A program that nobody has built yet: with a linker, in the machine's folder. */
static void work_check(struct rig *rig)
{
    static unsigned number;
    char source[100];
    volatile int *cells = rig_guest_buffer(rig, 1, 1);
    snprintf(source, sizeof(source), writer, ++number);
    rig_kernel(rig, 1, "writer", source, 1);
    batch_launch(rig_batch(rig), 1, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    assert_int_equal(rig_run(rig, 0), 0);
    assert_int_equal(cells[0], number);
}

/* How many machines' folders there are; those of that owner are counted in *owned. */
static unsigned folders_count(int64_t owner, unsigned *owned)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *all = opendir(folder);
    assert_non_null(all);
    while ((entry = readdir(all)) != NULL) {
        struct stat file;
        if (strncmp(entry->d_name, "gpud-cache-", 11) || fstatat(dirfd(all), entry->d_name, &file, 0))
            continue;
        count++;
        *owned += file.st_uid == owner;
        assert_int_equal(file.st_mode & 0777, 0700);
    }
    closedir(all);
    return count;
}

static void test_users(void **state)
{
    struct rig rigs[2];
    int64_t users[4];
    bool apart = rig_users_apart();
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        unsigned owned = 0;
        rig_open(&rigs[i]);
        users[2 * i] = rig_user(rig_process("gpud-front"), apart ? 0 : GPU_GROUPS);
        users[2 * i + 1] = rig_user(rig_process("gpud-device"), GPU_GROUPS);
        assert_int_equal(folders_count(users[2 * i + 1], &owned), i + 1);
        assert_int_equal(owned, apart ? 1 : i + 1);
        work_check(&rigs[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_true(apart ? users[i] > 0 : users[i] == getuid());
        for (unsigned j = 0; j < i; j++)
            assert_true(apart ? users[i] != users[j] : users[i] == users[j]);
    }
    rig_close(&rigs[0]);
    rig_close(&rigs[1]);
    rig_processes_end();
    assert_int_equal(folders_count(0, &(unsigned){0}), 0);
}

/* The next device process is the same user: what the former one left in the folder is its own. */
static void test_user_of_the_next_process(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig);
    pid_t first = rig_process("gpud-device");
    int64_t user = rig_user(first, GPU_GROUPS);
    work_check(&rig);
    assert_true(rig_kill("gpud-device"));
    assert_int_equal(front_context_destroy(rig.front, 1), 0);
    assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
    memset(rig.fences, 0, sizeof(rig.fences));
    assert_int_not_equal(rig_process("gpud-device"), first);
    assert_int_equal(rig_user(rig_process("gpud-device"), GPU_GROUPS), user);
    work_check(&rig);
    rig_close(&rig);
}

/* A folder for all machines that is root's with what is in it would have to be given away. */
static void test_cache_of_roots(void **state)
{
    char command[700], path[100], said[300] = "";
    const char *program = getenv("GPUD");
    (void)state;
    snprintf(path, sizeof(path), "%s/cache", folder);
    snprintf(command, sizeof(command), "mkdir %s && : >%s/file && %s --socket %s/s --cache %s 2>&1", path, path,
             program ? program : "build/host/gpud", folder, path);
    if (!rig_users_apart()) {
        print_message("skipped: not root\n");
        return;
    }
    FILE *gpud = popen(command, "r");
    assert_non_null(gpud);
    assert_non_null(fgets(said, sizeof(said), gpud));
    int status = pclose(gpud);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(said, "is root's, with what is in it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_user_of_the_next_process),
        cmocka_unit_test(test_cache_of_roots),
    };
    char command[64];
    if (!mkdtemp(folder))
        return 1;
    setenv("TMPDIR", folder, 1);
    rig_folders_apart = true;
    int failed = cmocka_run_group_tests(tests, rig_start, rig_stop);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) || failed;
}
