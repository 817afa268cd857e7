/*
 * policy.c: see policy.h. The request goes over the socket of the machine's `malv run`, as frames of
 * uapi/hostrun.h; mlctl runs in the machine, and what it writes comes back.
 */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/hostrun/hostrun.h"
#include "meeting.h"
#include "message.h"

#define ANSWER_MS 20000 /* a machine that takes no request for so long has no module for it */

static const char usage[] =
    "usage: malv policy [--machine NAME|PID] VERB ...\n"
    "\n"
    "Runs mlctl, with root's rights, in a machine that malv run has started. VERB is one of list, load,\n"
    "unload, set, shadow, guard, pilot, stats, watch, profile, model, record; 'malv policy VERB --help'\n"
    "says more of one. A path given to load (it has a /, or ends in .kmod), the file of pilot save and\n"
    "pilot load, and that of model load and model replace where a name is given, are the host's.\n"
    "\n"
    "  --machine NAME|PID  which one, where there are several: its --name, or its number in malv ps\n";

struct answer {
    bool accepted, ended;
    int status;
};

static bool write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        count -= (size_t)done;
    }
    return true;
}

static bool frame_send(int fd, uint8_t type, const void *payload, size_t length)
{
    uint8_t frame[HOSTRUN_FRAME_MAX];
    size_t count = hostrun_frame(frame, type, 0, payload, length), at = 0;
    while (at < count) {
        ssize_t done = send(fd, frame + at, count - at, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += (size_t)done;
    }
    return true;
}

/* Bytes in as many frames as they need. */
static bool bytes_send(int fd, uint8_t type, const char *bytes, size_t count)
{
    for (size_t at = 0; at < count; at += HOSTRUN_MAX_PAYLOAD) {
        size_t part = count - at < HOSTRUN_MAX_PAYLOAD ? count - at : HOSTRUN_MAX_PAYLOAD;
        if (!frame_send(fd, type, bytes + at, part))
            return false;
    }
    return true;
}

static void answer_frame(void *context, uint8_t type, uint8_t request, const uint8_t *payload,
                         size_t length)
{
    struct answer *answer = context;
    (void)request;
    if (type == HOSTRUN_ACCEPTED)
        answer->accepted = true;
    else if (type == HOSTRUN_STDOUT && !write_all(STDOUT_FILENO, payload, length))
        answer->ended = true; /* nobody reads it: closing ends the program there */
    else if (type == HOSTRUN_STDERR)
        write_all(STDERR_FILENO, payload, length);
    if (type != HOSTRUN_EXIT || length < 1)
        return;
    answer->ended = true;
    answer->status = payload[0];
}

/* Reads until the end. */
static int answer_take(int fd)
{
    static struct hostrun_reader reader;
    struct answer answer = {.status = MALV_FAILED};
    while (!answer.ended) {
        uint8_t bytes[4096];
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = poll(&ready, 1, answer.accepted ? -1 : ANSWER_MS);
        if (count == 0) {
            message("the machine takes no requests: it has not started yet, or its boot archive has "
                    "no module hostrun");
            return MALV_FAILED;
        }
        ssize_t got = count > 0 ? recv(fd, bytes, sizeof(bytes), 0) : -1;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            message("the machine has ended");
            return MALV_FAILED;
        }
        hostrun_feed(&reader, bytes, (size_t)got, answer_frame, &answer);
    }
    return answer.status;
}

/* ---- malv policy ------------------------------------------------------------------------------- */

/* A file of the host's, to be sent along. False: a message said why not. */
static bool file_send(int fd, const char *path)
{
    char bytes[HOSTRUN_MAX_PAYLOAD];
    struct stat status;
    ssize_t count = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) || !S_ISREG(status.st_mode) ||
        status.st_size > HOSTRUN_INPUT_BYTES) {
        message("can't send %s: %s", path,
                file < 0 ? strerror(errno) : "it is no file of at most 16 MiB");
        if (file >= 0)
            close(file);
        return false;
    }
    while ((count = read(file, bytes, sizeof(bytes))) > 0)
        if (!frame_send(fd, HOSTRUN_INPUT, bytes, (size_t)count))
            break;
    close(file);
    if (count)
        message("can't send %s: %s", path, strerror(errno));
    return count == 0;
}

static bool is_file(const char *word, const char *ending)
{
    size_t length = strlen(word), tail = strlen(ending);
    return strchr(word, '/') || (length > tail && !strcmp(word + length - tail, ending));
}

/* The word that names a file of the host: one that is sent along, or one that the answer goes to. In the
 * machine it is "-". NULL: there is none. */
static const char *file_word(char **words, bool *saves)
{
    *saves = false;
    if (!strcmp(words[0], "load") && words[1] && !words[2] && is_file(words[1], ".kmod"))
        return words[1];
    if (!strcmp(words[0], "model") && words[1] && words[2] && words[3] && !words[4] &&
        is_file(words[2], ".mlm"))
        return words[2];
    if (strcmp(words[0], "pilot") != 0 || !words[1] || !words[2] || words[3] || !strcmp(words[2], "-"))
        return NULL;
    *saves = !strcmp(words[1], "save");
    return *saves || !strcmp(words[1], "load") ? words[2] : NULL;
}

/* How a terminal of ours shows a view. */
static bool view_send(int fd)
{
    struct winsize size;
    char width[32];
    if (!bytes_send(fd, HOSTRUN_WORDS, "--redraw", 9))
        return false;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
        return true;
    snprintf(width, sizeof(width), "--width=%u", size.ws_col);
    return bytes_send(fd, HOSTRUN_WORDS, width, strlen(width) + 1);
}

/* The words of mlctl: a file is its standard input or output there, and a view is redrawn where ours is. */
static bool words_send(int fd, char **words, const char *file)
{
    bool sent = bytes_send(fd, HOSTRUN_WORDS, "mlctl", 6);
    for (char **word = words; sent && *word; word++) {
        const char *text = *word == file ? "-" : *word;
        sent = bytes_send(fd, HOSTRUN_WORDS, text, strlen(text) + 1);
    }
    if (sent && !strcmp(words[0], "watch") && isatty(STDOUT_FILENO))
        sent = view_send(fd);
    return sent;
}

static bool words_fit(char **words)
{
    size_t used = sizeof("mlctl") + sizeof("--redraw") + sizeof("--width=65535");
    for (char **word = words; *word; word++)
        used += strlen(*word) + 1;
    return used <= HOSTRUN_WORDS_BYTES;
}

/* What the machine answers goes into a file from here on. */
static bool output_divert(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = file >= 0 && dup2(file, STDOUT_FILENO) >= 0;
    if (!good)
        message("can't write %s: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    return good;
}

static int policy_request(int fd, char **words, const char *file, bool saves)
{
    if (!words_send(fd, words, file)) {
        message("the machine has ended");
        return MALV_FAILED;
    }
    if (file && !(saves ? output_divert(file) : file_send(fd, file)))
        return MALV_FAILED;
    int status = frame_send(fd, HOSTRUN_RUN, NULL, 0) ? answer_take(fd) : MALV_FAILED;
    if (saves && status)
        unlink(file);
    return status;
}

static int policy_ask(const char *machine, char **words)
{
    bool saves;
    const char *file = file_word(words, &saves);
    if (!words_fit(words)) {
        message("that is too long: %u bytes at most", HOSTRUN_WORDS_BYTES);
        return MALV_FAILED;
    }
    int fd = meeting_connect(machine);
    if (fd < 0)
        return MALV_FAILED;
    int status = policy_request(fd, words, file, saves);
    close(fd);
    return status;
}

int policy_main(char **words)
{
    const char *machine = NULL;
    if (*words && !strcmp(*words, "--machine") && words[1]) {
        machine = words[1];
        words += 2;
    } else if (*words && !strncmp(*words, "--machine=", 10)) {
        machine = *words++ + 10;
    }
    if (*words && (!strcmp(*words, "--help") || !strcmp(*words, "-h"))) {
        fputs(usage, stdout);
        return 0;
    }
    if (!*words || (machine && !*machine) || **words == '-') {
        message("malv policy [--machine NAME|PID] VERB ...; see malv policy --help");
        return MALV_FAILED;
    }
    if (!strcmp(*words, "run")) {
        message("programs are started by malv run: malv run -- mlctl run --profile NAME -- COMMAND");
        return MALV_FAILED;
    }
    return policy_ask(machine, words);
}

/* ---- malv ps ----------------------------------------------------------------------------------- */

int policy_machines(char **words)
{
    static struct meeting_machine machines[MEETING_MACHINES];
    if (*words) {
        message("malv ps wants nothing behind it");
        return MALV_FAILED;
    }
    unsigned count = meeting_list(machines);
    printf("%-8s %-20s COMMAND\n", "PID", "NAME");
    for (unsigned i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", machines[i].pid);
        printf("%-8s %-20s ", number, *machines[i].name ? machines[i].name : "-");
        fflush(stdout);
        int fd = meeting_connect(number);
        if (fd >= 0 && frame_send(fd, HOSTRUN_ASK, NULL, 0))
            answer_take(fd);
        if (fd >= 0)
            close(fd);
        putchar('\n');
    }
    return 0;
}
