/*
 * terminal.c: the host's terminal in raw mode, and out of it again.
 *
 * A process can't tidy up after SIGKILL, so another one does: the guard sleeps on a pipe of which
 * malv has the other end. It reads a byte when malv has put the terminal back itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"
#include "terminal.h"

bool terminal_there(void)
{
    return isatty(STDIN_FILENO);
}

void terminal_size(uint16_t *rows, uint16_t *columns)
{
    struct winsize size = {0};
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size))
        size = (struct winsize){0};
    *rows = size.ws_row;
    *columns = size.ws_col;
}

static void raw_set(const struct terminal *terminal)
{
    struct termios raw = terminal->saved;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

/* Outlives malv by a moment at most. It holds nothing but the terminal and its pipe, and it may
 * write to the terminal from the background. */
static void guard_run(const struct terminal *terminal, int pipe_fd)
{
    const int ignored[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTOU, SIGTTIN};
    char byte;
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    dup2(pipe_fd, STDOUT_FILENO);
    close_range(STDERR_FILENO, ~0u, 0);
    ssize_t count;
    do {
        count = read(STDOUT_FILENO, &byte, 1);
    } while (count < 0 && errno == EINTR);
    if (!count)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved);
    _exit(0);
}

static bool guard_start(struct terminal *terminal)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC))
        return false;
    terminal->guard = fork();
    if (!terminal->guard) {
        close(pair[1]);
        guard_run(terminal, pair[0]);
    }
    close(pair[0]);
    if (terminal->guard < 0) {
        close(pair[1]);
        return false;
    }
    terminal->guard_fd = pair[1];
    return true;
}

bool terminal_enter(struct terminal *terminal)
{
    if (terminal->raw)
        return true;
    if (tcgetattr(STDIN_FILENO, &terminal->saved) || !guard_start(terminal)) {
        message("can't take the terminal: %s", strerror(errno));
        return false;
    }
    terminal->raw = true;
    raw_set(terminal);
    return true;
}

void terminal_leave(struct terminal *terminal)
{
    if (!terminal->raw)
        return;
    terminal->raw = false;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved);
    if (write(terminal->guard_fd, "", 1) < 0)
        kill(terminal->guard, SIGKILL);
    close(terminal->guard_fd);
    while (waitpid(terminal->guard, NULL, 0) < 0 && errno == EINTR)
        continue;
}

void terminal_again(const struct terminal *terminal)
{
    if (terminal->raw)
        raw_set(terminal);
}
