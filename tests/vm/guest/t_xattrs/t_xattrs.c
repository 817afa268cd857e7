/*
 * t_xattrs.c: extended attributes of files in /tmp, or in the folder of an argument in=FOLDER, which
 * may be a server's.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/vm/guest/check.h"

#define LARGE 2000

static bool has_name(const char *names, ssize_t size, const char *name)
{
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        if (strcmp(names + at, name) == 0)
            return true;
    }
    return false;
}

static int make(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
}

static void test_values(void)
{
    char text[64], large[LARGE], back[LARGE];
    int fd = make("xa");

    CHECK(fd >= 0);
    CHECK(setxattr("xa", "user.one", "1234", 4, 0) == 0);
    CHECK(getxattr("xa", "user.one", text, sizeof(text)) == 4 && memcmp(text, "1234", 4) == 0);
    CHECK(fgetxattr(fd, "user.one", NULL, 0) == 4);
    CHECK_ERRNO(getxattr("xa", "user.one", text, 3), ERANGE);
    CHECK_ERRNO(getxattr("xa", "user.two", text, sizeof(text)), ENODATA);
    CHECK_ERRNO(getxattr("xa", "nothing.x", text, sizeof(text)), EOPNOTSUPP);
    CHECK_ERRNO(getxattr("none", "user.one", text, sizeof(text)), ENOENT);
    CHECK_ERRNO(setxattr("xa", "user.one", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(fsetxattr(fd, "user.two", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK(fsetxattr(fd, "user.one", "567", 3, XATTR_REPLACE) == 0);
    CHECK(getxattr("xa", "user.one", text, sizeof(text)) == 3 && memcmp(text, "567", 3) == 0);
    for (unsigned i = 0; i < LARGE; i++)
        large[i] = (char)(i * 7);
    CHECK(setxattr("xa", "user.large", large, LARGE, XATTR_CREATE) == 0);
    CHECK(getxattr("xa", "user.large", back, LARGE) == LARGE && memcmp(large, back, LARGE) == 0);
    CHECK(close(fd) == 0 && unlink("xa") == 0);
}

static void test_names(void)
{
    char names[256];
    ssize_t size;

    CHECK(mkdir("xd", 0755) == 0);
    CHECK(setxattr("xd", "user.one", "1", 1, 0) == 0 && setxattr("xd", "user.two", "22", 2, 0) == 0);
    size = listxattr("xd", names, sizeof(names));
    CHECK(size >= 18 && has_name(names, size, "user.one") && has_name(names, size, "user.two"));
    CHECK(listxattr("xd", NULL, 0) == size);
    CHECK_ERRNO(listxattr("xd", names, 17), ERANGE);
    CHECK(removexattr("xd", "user.one") == 0);
    CHECK_ERRNO(removexattr("xd", "user.one"), ENODATA);
    size = listxattr("xd", names, sizeof(names));
    CHECK(size >= 9 && !has_name(names, size, "user.one") && has_name(names, size, "user.two"));
    CHECK_ERRNO(getxattr("xd", "user.one", names, sizeof(names)), ENODATA);
    CHECK(rmdir("xd") == 0);
}

static void test_links(void)
{
    char text[8];

    CHECK(close(make("xa")) == 0 && symlink("xa", "xl") == 0);
    CHECK(setxattr("xl", "user.one", "1", 1, 0) == 0);
    CHECK(getxattr("xa", "user.one", text, sizeof(text)) == 1);
    CHECK_ERRNO(lsetxattr("xl", "user.one", "1", 1, 0), EPERM);
    CHECK_ERRNO(lgetxattr("xl", "user.one", text, sizeof(text)), ENODATA);
    CHECK(unlink("xa") == 0 && unlink("xl") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"values", test_values}, {"names", test_names}, {"links", test_links}};

    const char *folder = "/tmp";

    if (argc > 1 && strncmp(argv[1], "in=", 3) == 0) {
        folder = argv[1] + 3;
        argc--;
        argv++;
    }
    if (chdir(folder) != 0)
        return 1;
    return RUN_TESTS(tests, argc, argv);
}
