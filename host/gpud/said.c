/* said.c: see said.h. */
#include "said.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"

#define SECOND_NS  1000000000u
#define LEAST_LEFT 20u /* before a machine that has said too much is heard again */
#define PIECE      16384u
#define PIECES     256u /* at the end: more than any pipe has in it */

int said_make(struct said *said, const char *who)
{
    int ends[2];
    *said = (struct said){.who = who, .read = -1, .write = -1, .left = SAID_LINES, .since_ns = now_ns()};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    said->read = ends[0];
    said->write = ends[1];
    return fcntl(said->read, F_SETFL, O_NONBLOCK);
}

void said_begin(const struct said *said)
{
    close(said->read);
    log_into(said->write);
}

static void dropped_tell(struct said *said)
{
    if (said->lines)
        log_line("%llu lines of what its %s said, %llu bytes, were dropped", (unsigned long long)said->lines,
                 said->who, (unsigned long long)said->bytes);
    said->lines = said->bytes = 0;
}

static void left_renew(struct said *said)
{
    uint64_t seconds = (now_ns() - said->since_ns) / SECOND_NS;
    said->since_ns += seconds * SECOND_NS;
    said->left = said->left + seconds < SAID_LINES ? said->left + (unsigned)seconds : SAID_LINES;
}

/* Takes one line's place, or counts it as dropped. */
static bool line_may(struct said *said, size_t bytes)
{
    left_renew(said);
    if (said->left >= (said->lines ? LEAST_LEFT : 1)) {
        dropped_tell(said);
        said->left--;
        return true;
    }
    if (!said->lines)
        log_line("its %s says more than %u lines at once: what follows is dropped", said->who, SAID_LINES);
    said->lines++;
    said->bytes += bytes;
    return false;
}

bool said_may(struct said *said)
{
    return line_may(said, 0);
}

static void line_end(struct said *said)
{
    size_t used = said->used;
    said->line[used] = 0;
    said->used = 0;
    if (used && line_may(said, used))
        log_line("%s: %s", said->who, said->line);
}

static void bytes_take(struct said *said, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool plain = bytes[i] >= ' ' && bytes[i] <= '~';
        if (bytes[i] != '\n')
            said->line[said->used++] = plain ? bytes[i] : '?';
        if (bytes[i] == '\n' || said->used == SAID_LINE_BYTES)
            line_end(said);
    }
}

static bool piece_take(struct said *said)
{
    char bytes[PIECE];
    ssize_t count = read(said->read, bytes, sizeof(bytes));
    if (count > 0)
        bytes_take(said, bytes, (size_t)count);
    return count > 0;
}

void said_take(struct said *said)
{
    piece_take(said);
}

void said_end(struct said *said)
{
    for (unsigned i = 0; i < PIECES && piece_take(said); i++)
        ;
    line_end(said);
    dropped_tell(said);
}
