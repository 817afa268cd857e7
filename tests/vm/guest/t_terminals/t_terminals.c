/*
 * t_terminals.c: ptys and the line discipline: what is echoed, what a reader gets, settings, sizes,
 * readiness, and what is left when one end closes. Job control is t_jobs.c's.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/vm/guest/check.h"

#define PAIRS 256

/* A pty whose terminal is nobody's controlling one. */
static bool pair_open(int *master, int *slave)
{
    char name[64];

    *master = posix_openpt(O_RDWR | O_NOCTTY);
    if (*master < 0 || grantpt(*master) || unlockpt(*master) ||
        ptsname_r(*master, name, sizeof(name)))
        return false;
    *slave = open(name, O_RDWR | O_NOCTTY);
    return *slave >= 0;
}

static bool pair_open_raw(int *master, int *slave)
{
    struct termios t;

    if (!pair_open(master, slave) || tcgetattr(*slave, &t))
        return false;
    cfmakeraw(&t);
    return tcsetattr(*slave, TCSANOW, &t) == 0;
}

static void pair_close(int master, int slave)
{
    close(slave);
    close(master);
}

/* A terminal's read may be short. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, out + done, size - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/* Nothing can be read. */
static bool silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 20) == 0;
}

/* Something can be read, soon. */
static bool speaks(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 60000) == 1 && (p.revents & POLLIN);
}

/* What can be read is this text, no more and no less. */
static bool reads(int fd, const char *text)
{
    char got[512] = {0};
    size_t size = strlen(text);

    return read_all(fd, got, size) == size && memcmp(got, text, size) == 0 && silent(fd);
}

static bool types(int master, const char *text)
{
    return write(master, text, strlen(text)) == (ssize_t)strlen(text);
}

/* One read gives this text and no more. */
static bool reads_once(int fd, const char *text)
{
    char got[512] = {0};
    ssize_t n = read(fd, got, sizeof(got));

    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

static void local_change(int slave, tcflag_t on, tcflag_t off)
{
    struct termios t;

    tcgetattr(slave, &t);
    t.c_lflag = (t.c_lflag | on) & ~off;
    tcsetattr(slave, TCSANOW, &t);
}

static void test_names(void)
{
    struct stat by_file, by_name;
    char name[64], *tty;
    int m, s, n = -1;

    CHECK(pair_open(&m, &s));
    CHECK(isatty(m) && isatty(s));
    CHECK(ioctl(m, TIOCGPTN, &n) == 0 && n >= 0);
    CHECK(ptsname_r(m, name, sizeof(name)) == 0 && strncmp(name, "/dev/pts/", 9) == 0);
    CHECK(atoi(name + 9) == n);
    tty = ttyname(s);
    CHECK(tty && strcmp(tty, name) == 0);
    CHECK(fstat(s, &by_file) == 0 && stat(name, &by_name) == 0);
    CHECK(S_ISCHR(by_file.st_mode) && by_file.st_rdev == by_name.st_rdev);
    CHECK(by_file.st_ino == by_name.st_ino && by_file.st_dev == by_name.st_dev);
    CHECK(major(by_file.st_rdev) == 136 && (int)minor(by_file.st_rdev) == n);
    CHECK(fstat(m, &by_file) == 0 && by_file.st_rdev == makedev(5, 2));
    CHECK(stat("/dev/tty", &by_name) == 0 && by_name.st_rdev == makedev(5, 0));
    CHECK(stat("/dev/null", &by_name) == 0 && by_name.st_rdev == makedev(1, 3));
    close(m);
    CHECK_ERRNO(stat(name, &by_name), ENOENT);
    close(s);
}

static void test_lock(void)
{
    int m = posix_openpt(O_RDWR | O_NOCTTY), locked = -1, s, peer;
    char name[64];

    CHECK(m >= 0 && ptsname_r(m, name, sizeof(name)) == 0);
    CHECK(ioctl(m, TIOCGPTLCK, &locked) == 0 && locked == 1);
    CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
    CHECK(unlockpt(m) == 0);
    s = open(name, O_RDWR | O_NOCTTY);
    CHECK(s >= 0);
    peer = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(peer >= 0 && (fcntl(peer, F_GETFD) & FD_CLOEXEC));
    CHECK(types(peer, "x") && reads(m, "x"));
    close(peer);
    pair_close(m, s);
}

static void test_settings(void)
{
    struct termios t, again;
    int m, s;

    CHECK(pair_open(&m, &s) && tcgetattr(s, &t) == 0);
    CHECK(t.c_iflag == (ICRNL | IXON) && t.c_oflag == (OPOST | ONLCR));
    CHECK(t.c_cflag == (B38400 | CS8 | CREAD));
    CHECK(t.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
    CHECK(t.c_cc[VINTR] == 3 && t.c_cc[VEOF] == 4 && t.c_cc[VERASE] == 0177 && t.c_cc[VMIN] == 1);
    CHECK(t.c_cc[VSUSP] == 032 && t.c_cc[VLNEXT] == 026 && t.c_cc[VWERASE] == 027);
    cfsetspeed(&t, B115200);
    t.c_cflag = (t.c_cflag & ~(tcflag_t)CSIZE) | CS7 | PARENB;
    t.c_cc[VINTR] = 1;
    CHECK(tcsetattr(s, TCSADRAIN, &t) == 0 && tcgetattr(m, &again) == 0);
    CHECK(cfgetospeed(&again) == B115200 && again.c_cc[VINTR] == 1);
    CHECK((again.c_cflag & (CSIZE | PARENB | CREAD)) == (CS8 | CREAD));
    CHECK_ERRNO(ioctl(s, TCGETS, bad_address()), EFAULT);
    CHECK_ERRNO(ioctl(s, TCSETS, bad_address()), EFAULT);
    CHECK_ERRNO(ioctl(s, 0x54ff, 0), ENOTTY);
    CHECK_ERRNO(tcflush(s, 7), EINVAL);
    CHECK_ERRNO(tcflow(s, 7), EINVAL);
    CHECK(tcdrain(s) == 0 && tcsendbreak(s, 0) == 0);
    CHECK_ERRNO(lseek(s, 0, SEEK_SET), ESPIPE);
    pair_close(m, s);
}

static void test_lines(void)
{
    int m, s, count;

    CHECK(pair_open(&m, &s));
    CHECK(types(m, "abc"));
    CHECK(reads(m, "abc"));
    CHECK(silent(s));
    CHECK(types(m, "d\rsecond\n"));
    CHECK(reads(m, "d\r\nsecond\r\n"));
    CHECK(ioctl(s, FIONREAD, &count) == 0 && count == 12);
    CHECK(reads_once(s, "abcd\n"));
    CHECK(reads_once(s, "second\n"));
    CHECK(types(s, "out\n") && reads(m, "out\r\n"));
    CHECK(types(m, "half\004") && reads(m, "half") && reads_once(s, "half"));
    CHECK(types(m, "\004") && reads_once(s, ""));
    CHECK(types(m, "a\026\004b\001\n") && reads(m, "a^\b^Db^A\r\n") &&
          reads_once(s, "a\004b\001\n"));
    local_change(s, 0, ECHO);
    CHECK(types(m, "quiet\n") && silent(m) && reads_once(s, "quiet\n"));
    local_change(s, ECHONL, 0);
    CHECK(types(m, "nl\n") && reads(m, "\r\n") && reads_once(s, "nl\n"));
    pair_close(m, s);
}

static void test_pieces(void)
{
    char c[4];
    int m, s;

    CHECK(pair_open(&m, &s));
    CHECK(types(m, "abcdef\ngh\n"));
    CHECK(read(s, c, 4) == 4 && memcmp(c, "abcd", 4) == 0);
    CHECK(read(s, c, 4) == 3 && memcmp(c, "ef\n", 3) == 0);
    CHECK(read(s, c, 2) == 2 && memcmp(c, "gh", 2) == 0);
    CHECK(read(s, c, 4) == 1 && *c == '\n');
    CHECK(types(m, "wxyz\004q\n")); /* the end that follows a full read goes with it */
    CHECK(read(s, c, 4) == 4 && memcmp(c, "wxyz", 4) == 0);
    CHECK(read(s, c, 4) == 2 && *c == 'q');
    pair_close(m, s);
}

static void test_erase(void)
{
    struct termios t;
    int m, s;

    CHECK(pair_open(&m, &s));
    CHECK(types(m, "ab\177c\n") && reads(m, "ab\b \bc\r\n") && reads_once(s, "ac\n"));
    CHECK(types(m, "\177x\n") && reads(m, "x\r\n") && reads_once(s, "x\n"));
    CHECK(types(m, "\001\177y\n") && reads(m, "^A\b \b\b \by\r\n") && reads_once(s, "y\n"));
    CHECK(types(m, "one two \027x\n") && reads(m, "one two \b \b\b \b\b \b\b \bx\r\n"));
    CHECK(reads_once(s, "one x\n"));
    CHECK(types(m, "ab\025c\n") && reads(m, "ab\b \b\b \bc\r\n") && reads_once(s, "c\n"));
    CHECK(types(m, "a\t\177b\n") && reads(m, "a\t\b\b\b\b\b\b\bb\r\n") && reads_once(s, "ab\n"));
    CHECK(types(m, "ab\022c\n") && reads(m, "ab^R\r\nabc\r\n") && reads_once(s, "abc\n"));
    CHECK(tcgetattr(s, &t) == 0);
    t.c_iflag |= IUTF8;
    CHECK(tcsetattr(s, TCSANOW, &t) == 0);
    CHECK(types(m, "\303\274\177z\n") && reads(m, "\303\274\b \bz\r\n") && reads_once(s, "z\n"));
    t.c_lflag &= ~(tcflag_t)(ECHOE | ECHOKE);
    CHECK(tcsetattr(s, TCSANOW, &t) == 0);
    CHECK(types(m, "ab\177\n") && reads(m, "ab^?\r\n") && reads_once(s, "a\n"));
    CHECK(types(m, "ab\025c\n") && reads(m, "ab^U\r\nc\r\n") && reads_once(s, "c\n"));
    t.c_lflag |= ECHOPRT | ECHOE;
    CHECK(tcsetattr(s, TCSANOW, &t) == 0);
    CHECK(types(m, "ab\177\177c\n") && reads(m, "ab\\ba/c\r\n") && reads_once(s, "c\n"));
    pair_close(m, s);
}

static void test_input_flags(void)
{
    struct termios t;
    int m, s;

    CHECK(pair_open_raw(&m, &s) && tcgetattr(s, &t) == 0);
    t.c_iflag = INLCR;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(m, "a\nb\r") && reads(s, "a\rb\r"));
    t.c_iflag = IGNCR;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(m, "a\nb\rc") && reads(s, "a\nbc"));
    t.c_iflag = ICRNL | ISTRIP;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(m, "a\r\341") && reads(s, "a\na"));
    t.c_iflag = IUCLC;
    t.c_lflag |= IEXTEN;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(m, "AbC") && reads(s, "abc"));
    pair_close(m, s);
}

static void test_output_flags(void)
{
    struct termios t;
    int m, s;

    CHECK(pair_open_raw(&m, &s) && tcgetattr(s, &t) == 0);
    CHECK(types(s, "a\n\tb\r") && reads(m, "a\n\tb\r"));
    t.c_oflag = OPOST | ONLCR | XTABS;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(s, "a\tb\n\tc") && reads(m, "a       b\r\n        c"));
    t.c_oflag = OPOST | OCRNL | OLCUC;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(s, "xy\rz") && reads(m, "XY\nZ"));
    t.c_oflag = OPOST | ONOCR | ONLCR;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(s, "\n\ra\rb") && reads(m, "\r\na\rb"));
    pair_close(m, s);
}

static void test_raw(void)
{
    struct termios t;
    char c[8];
    int m, s, count;

    CHECK(pair_open_raw(&m, &s) && tcgetattr(s, &t) == 0);
    CHECK(types(m, "\003\004a") && silent(m));
    CHECK(ioctl(s, FIONREAD, &count) == 0 && count == 3);
    CHECK(read(s, c, 2) == 2 && read(s, c, 8) == 1 && *c == 'a');
    t.c_cc[VMIN] = 0;
    tcsetattr(s, TCSANOW, &t);
    CHECK(read(s, c, 8) == 0);
    t.c_cc[VTIME] = 1;
    tcsetattr(s, TCSANOW, &t);
    CHECK(read(s, c, 8) == 0);
    CHECK(types(m, "b") && read(s, c, 8) == 1 && *c == 'b');
    t.c_cc[VMIN] = 5; /* a pause ends it */
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(m, "cd") && read(s, c, 8) == 2);
    t.c_cc[VTIME] = 0;
    t.c_cc[VMIN] = 3;
    tcsetattr(s, TCSANOW, &t);
    CHECK(types(m, "ef") && silent(s));
    CHECK(types(m, "g") && speaks(s) && read(s, c, 8) == 3);
    pair_close(m, s);
}

static void test_mode_change(void)
{
    struct termios t;
    int m, s;

    CHECK(pair_open(&m, &s) && tcgetattr(s, &t) == 0);
    CHECK(types(m, "abc") && silent(s));
    local_change(s, 0, ICANON);
    CHECK(reads(s, "abc"));
    CHECK(types(m, "de") && speaks(s));
    local_change(s, ICANON, 0);
    CHECK(reads_once(s, "de"));
    CHECK(types(m, "lost\n") && speaks(s));
    CHECK(tcsetattr(s, TCSAFLUSH, &t) == 0 && silent(s));
    CHECK(types(m, "lost too\n") && speaks(s) && tcflush(s, TCIFLUSH) == 0 && silent(s));
    CHECK(types(m, "x\n") && reads_once(s, "x\n"));
    pair_close(m, s);
}

static void test_no_waiting(void)
{
    char c[8];
    int m, s;

    CHECK(pair_open(&m, &s));
    CHECK(fcntl(m, F_SETFL, O_RDWR | O_NONBLOCK) == 0 &&
          fcntl(s, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    CHECK_ERRNO(read(m, c, 8), EAGAIN);
    CHECK_ERRNO(read(s, c, 8), EAGAIN);
    CHECK(types(m, "half"));
    CHECK_ERRNO(read(s, c, 8), EAGAIN);
    CHECK(read(m, c, 8) == 4);
    CHECK_ERRNO(read(m, c, 8), EAGAIN);
    CHECK(read(s, c, 0) == 0);
    CHECK_ERRNO(write(s, bad_address(), 4), EFAULT);
    CHECK(types(m, "\n"));
    CHECK_ERRNO(read(s, bad_address(), 8), EFAULT);
    pair_close(m, s);
}

static void test_flow(void)
{
    struct pollfd p;
    int m, s;

    CHECK(pair_open(&m, &s) && fcntl(s, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    CHECK(types(m, "\023") && silent(m));
    p = (struct pollfd){.fd = s, .events = POLLOUT};
    CHECK(poll(&p, 1, 20) == 0);
    CHECK_ERRNO(write(s, "x", 1), EAGAIN);
    CHECK(types(m, "\021") && poll(&p, 1, 60000) == 1);
    CHECK(types(s, "x") && reads(m, "x"));
    CHECK(tcflow(s, TCOOFF) == 0);
    CHECK_ERRNO(write(s, "x", 1), EAGAIN);
    CHECK(tcflow(s, TCOON) == 0 && types(s, "y") && reads(m, "y"));
    CHECK(tcflow(s, TCIOFF) == 0 && reads(m, "\023"));
    pair_close(m, s);
}

static void test_much(void)
{
    static char out[10000], in[10000];
    int m, s, status;
    pid_t child;

    CHECK(pair_open_raw(&m, &s));
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (char)(i * 7 + i / 256);
    CHECK(write(m, out, sizeof(out)) == (ssize_t)sizeof(out));
    CHECK(read_all(s, in, sizeof(in)) == sizeof(in) && memcmp(in, out, sizeof(in)) == 0);
    child = fork();
    if (child == 0) {
        close(m);
        for (int i = 0; i < 20; i++) {
            if (write(s, out, sizeof(out)) != (ssize_t)sizeof(out))
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 20; i++) {
        memset(in, 0, sizeof(in));
        CHECK(read_all(m, in, sizeof(in)) == sizeof(in) && memcmp(in, out, sizeof(in)) == 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    pair_close(m, s);
}

static void test_long_line(void)
{
    static char text[5001], in[8192];
    int m, s;

    CHECK(pair_open(&m, &s));
    local_change(s, 0, ECHO);
    memset(text, 'x', 5000);
    CHECK(types(m, text) && types(m, "\n"));
    CHECK(read(s, in, sizeof(in)) == 4096 && in[4095] == '\n' && in[4094] == 'x');
    CHECK(types(m, "next\n") && reads_once(s, "next\n"));
    pair_close(m, s);
}

static void test_size(void)
{
    struct winsize size = {1, 1, 1, 1}, got;
    int m, s;

    CHECK(pair_open(&m, &s));
    CHECK(ioctl(s, TIOCGWINSZ, &size) == 0 && size.ws_row == 0 && size.ws_col == 0);
    size = (struct winsize){25, 80, 640, 400};
    CHECK(ioctl(m, TIOCSWINSZ, &size) == 0);
    CHECK(ioctl(s, TIOCGWINSZ, &got) == 0 && memcmp(&got, &size, sizeof(got)) == 0);
    size.ws_row = 30;
    CHECK(ioctl(s, TIOCSWINSZ, &size) == 0);
    CHECK(ioctl(m, TIOCGWINSZ, &got) == 0 && got.ws_row == 30);
    CHECK_ERRNO(ioctl(m, TIOCSWINSZ, bad_address()), EFAULT);
    pair_close(m, s);
}

static void test_ends(void)
{
    struct pollfd p;
    char name[64], c;
    int m, s;

    CHECK(pair_open(&m, &s) && ptsname_r(m, name, sizeof(name)) == 0);
    CHECK(types(s, "z"));
    close(s);
    p = (struct pollfd){.fd = m, .events = POLLIN};
    CHECK(poll(&p, 1, 60000) == 1 && (p.revents & POLLIN) && (p.revents & POLLHUP));
    CHECK(read(m, &c, 1) == 1 && c == 'z');
    CHECK_ERRNO(read(m, &c, 1), EIO);
    s = open(name, O_RDWR | O_NOCTTY);
    CHECK(s >= 0 && silent(m) && types(m, "q\n") && reads(m, "q\r\n") && reads_once(s, "q\n"));
    close(m);
    p = (struct pollfd){.fd = s, .events = POLLIN | POLLOUT};
    CHECK(poll(&p, 1, 60000) == 1 && p.revents == (POLLIN | POLLOUT | POLLERR | POLLHUP));
    CHECK(read(s, &c, 1) == 0);
    CHECK_ERRNO(write(s, "x", 1), EIO);
    CHECK_ERRNO(tcflush(s, TCIFLUSH), EIO);
    close(s);
}

static void test_events(void)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = 7}, got;
    int m, s, ep = epoll_create1(0);

    CHECK(ep >= 0 && pair_open(&m, &s) && epoll_ctl(ep, EPOLL_CTL_ADD, s, &e) == 0);
    CHECK(types(m, "half") && epoll_wait(ep, &got, 1, 20) == 0);
    CHECK(types(m, "\n") && epoll_wait(ep, &got, 1, 1000) == 1 && got.data.u32 == 7);
    CHECK(epoll_wait(ep, &got, 1, 20) == 0);
    close(m);
    CHECK(epoll_wait(ep, &got, 1, 1000) == 1 && (got.events & EPOLLHUP));
    close(s);
    close(ep);
}

static void test_packets(void)
{
    char got[16];
    int m, s, on = 1;

    CHECK(pair_open(&m, &s) && ioctl(m, TIOCPKT, &on) == 0);
    CHECK(types(s, "ab") && read(m, got, sizeof(got)) == 3 && memcmp(got, "\0ab", 3) == 0);
    CHECK(tcflush(s, TCIFLUSH) == 0 && read(m, got, sizeof(got)) == 1 &&
          (got[0] & TIOCPKT_FLUSHREAD));
    CHECK(tcflow(s, TCOOFF) == 0 && read(m, got, sizeof(got)) == 1 && got[0] == TIOCPKT_STOP);
    CHECK(tcflow(s, TCOON) == 0 && read(m, got, sizeof(got)) == 1 && got[0] == TIOCPKT_START);
    on = 0;
    CHECK(ioctl(m, TIOCPKT, &on) == 0 && types(s, "cd") && reads(m, "cd"));
    pair_close(m, s);
}

static void test_many(void)
{
    static int m[PAIRS], s[PAIRS];

    for (int i = 0; i < PAIRS; i++)
        CHECK(pair_open(&m[i], &s[i]));
    for (int i = 0; i < PAIRS; i++) {
        char text[16];

        snprintf(text, sizeof(text), "%d\n", i);
        CHECK(types(m[i], text) && reads_once(s[i], text));
    }
    for (int i = 0; i < PAIRS; i++)
        pair_close(m[i], s[i]);
}

/* Threads that open, use and close the same few terminals, all at once. */
#define STORM_SLOTS   8
#define STORM_THREADS 4
#define STORM_STEPS   4000

static int slots[STORM_SLOTS];

static void storm_settings(int fd, unsigned random)
{
    struct termios t;

    if (tcgetattr(fd, &t))
        return;
    t.c_lflag ^= 1u << (random >> 8 & 15);
    t.c_iflag ^= 1u << (random >> 12 & 15);
    t.c_oflag ^= 1u << (random >> 16 & 7);
    tcsetattr(fd, random & 1 ? TCSAFLUSH : TCSANOW, &t);
}

static void storm_step(unsigned random, int *slot)
{
    static const char text[] = "some text\n\003\004\177\025\026\022\023more\021\t\r";
    struct winsize size = {.ws_row = (unsigned short)random};
    struct pollfd p = {.fd = *slot, .events = POLLIN | POLLOUT};
    int fd = *slot, number, fresh = -1;
    char got[300];

    switch (random % 12) {
    case 0:
        fresh = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (fresh >= 0 && unlockpt(fresh))
            errno = 0;
        break;
    case 1:
        fresh = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
        break;
    case 2:
        storm_settings(fd, random);
        break;
    case 3:
        tcflush(fd, (int)(random >> 8 & 3));
        break;
    case 4:
        tcflow(fd, (int)(random >> 8 & 3));
        break;
    case 5:
        ioctl(fd, TIOCSWINSZ, &size);
        break;
    case 6:
        number = (int)(random >> 8 & 1);
        ioctl(fd, TIOCPKT, &number);
        break;
    case 7:
        ioctl(fd, random & 256 ? FIONREAD : TIOCOUTQ, &number);
        poll(&p, 1, 0);
        break;
    case 8:
    case 9:
        number = (int)read(fd, got, random >> 8 & 255);
        break;
    default:
        number = (int)write(fd, text, 1 + (random >> 8) % (sizeof(text) - 1));
    }
    if (fresh >= 0) {
        fd = __atomic_exchange_n(slot, fresh, __ATOMIC_SEQ_CST);
        if (fd >= 0)
            close(fd);
    }
}

static void *storm_thread(void *argument)
{
    unsigned random = 12345u * (unsigned)(1 + (uintptr_t)argument);

    for (int i = 0; i < STORM_STEPS; i++) {
        random = random * 1664525u + 1013904223u;
        storm_step(random >> 4, &slots[(random >> 24) % STORM_SLOTS]);
    }
    return NULL;
}

static void test_storm(void)
{
    pthread_t threads[STORM_THREADS];
    int m, s;

    memset(slots, -1, sizeof(slots));
    for (uintptr_t i = 0; i < STORM_THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, storm_thread, (void *)i) == 0);
    for (int i = 0; i < STORM_THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < STORM_SLOTS; i++)
        close(slots[i]);
    CHECK(pair_open(&m, &s) && types(m, "calm\n") && reads_once(s, "calm\n"));
    pair_close(m, s);
}

static const struct test tests[] = {
    {"names", test_names},
    {"lock", test_lock},
    {"settings", test_settings},
    {"lines", test_lines},
    {"pieces", test_pieces},
    {"erase", test_erase},
    {"input_flags", test_input_flags},
    {"output_flags", test_output_flags},
    {"raw", test_raw},
    {"mode_change", test_mode_change},
    {"no_waiting", test_no_waiting},
    {"flow", test_flow},
    {"much", test_much},
    {"long_line", test_long_line},
    {"size", test_size},
    {"ends", test_ends},
    {"events", test_events},
    {"packets", test_packets},
    {"many", test_many},
    {"storm", test_storm},
};

int main(int argc, char **argv)
{
    return RUN_TESTS(tests, argc, argv);
}
