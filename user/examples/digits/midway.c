/*
 * midway.c: splits the command line, starts it, waits.
 */
#include "midway.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"

#define MAX_WORDS 32

/* Cuts `line` into words, NULL after the last; their number, or -1 when there are too many. */
static int words_split(char *line, char **words)
{
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t\n", &rest); word != NULL;
         word = strtok_r(NULL, " \t\n", &rest)) {
        if (count == MAX_WORDS) {
            return -1;
        }
        words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

static int child_wait(pid_t child, const char *name)
{
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return message_error("can't wait for %s: %s", name, strerror(errno));
        }
    }
    if (WIFSIGNALED(status)) {
        return message_error("the midway command %s was ended by signal %d", name,
                             WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0) {
        return message_error(
            "the midway command %s failed with status %d; what it printed says why", name,
            WEXITSTATUS(status));
    }
    return 0;
}

int midway_run(const char *command_line)
{
    char *words[MAX_WORDS + 1];
    char *line = strdup(command_line);
    if (line == NULL) {
        return message_error("no memory for the midway command: give the machine more");
    }
    int result;
    pid_t child;
    if (words_split(line, words) < 1) {
        result = message_error("--midway wants a command of 1 to %d words", MAX_WORDS);
    } else {
        fflush(NULL); /* what the command prints comes after what was printed before it */
        int error = posix_spawnp(&child, words[0], NULL, NULL, words, environ);
        result = error == 0 ? child_wait(child, words[0])
                            : message_error("can't run the midway command %s: %s", words[0],
                                            strerror(error));
    }
    free(line);
    return result;
}
