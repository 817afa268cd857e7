/*
 * path.c: from a path to a node: ".", "..", symbolic links, limits. See node.h.
 */
#include "modules/linux/fs/node.h"

#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/fs/seat.h"
#include "modules/linux/process/process.h"

#define LINKS_MAX 40 /* as Linux: more on one path is ELOOP */

/* A walk along a path. */
struct walk {
    struct node *root; /* where absolute paths start; a reference */
    struct node *start; /* the caller's, who keeps it */
    unsigned flags;     /* enum path_flags */
    struct node *at;   /* folder reached; a reference */
    const char *rest;  /* what is left of the path, no leading slash */
    char *buffer;      /* what `rest` points into after a link was followed; NULL before */
    unsigned links;
};

struct node *path_root(void)
{
    struct task *t = task_current();

    if (t)
        return fs_context_root(t->process->fs);
    node_ref(node_root);
    return node_root;
}

static void skip_slashes(struct walk *w)
{
    while (*w->rest == '/')
        w->rest++;
}

static int walk_start(struct walk *w, struct node *start, const char *path, unsigned flags)
{
    if (*path == '\0')
        return ERR_NOT_FOUND;
    if (strlen(path) >= LINUX_PATH_MAX)
        return LINUX_ERRNO(ENAMETOOLONG);
    if (*path == '/' && (flags & PATH_BENEATH))
        return LINUX_ERRNO(EXDEV);
    *w = (struct walk){.start = start, .flags = flags, .rest = path};
    w->root = flags & PATH_IN_ROOT ? start : path_root();
    if (flags & PATH_IN_ROOT)
        node_ref(start);
    w->at = *path == '/' ? w->root : start;
    node_ref(w->at);
    skip_slashes(w);
    return OK;
}

static void walk_end(struct walk *w)
{
    node_unref(w->at);
    node_unref(w->root);
    kfree(w->buffer);
}

/* Takes the next part off the rest. trailing: slashes follow it. */
static int take_part(struct walk *w, char *name, bool *trailing)
{
    size_t n = 0;

    while (w->rest[n] != '\0' && w->rest[n] != '/')
        n++;
    if (n > LINUX_NAME_MAX)
        return LINUX_ERRNO(ENAMETOOLONG);
    memcpy(name, w->rest, n);
    name[n] = '\0';
    w->rest += n;
    *trailing = *w->rest == '/';
    skip_slashes(w);
    return OK;
}

/* Puts a link's text before the rest, and goes to the root when the text is absolute. */
static int follow_text(struct walk *w, struct node *link, bool trailing)
{
    size_t rest = strlen(w->rest);
    char *text;
    long n;

    text = kmalloc(2 * LINUX_PATH_MAX);
    if (!text)
        return ERR_NO_MEMORY;
    n = link->ops->text(link, text, LINUX_PATH_MAX - 1);
    if (n <= 0 || (size_t)n + rest + 2 > LINUX_PATH_MAX) {
        kfree(text);
        return n < 0 ? (int)n : n == 0 ? ERR_NOT_FOUND : LINUX_ERRNO(ENAMETOOLONG);
    }
    if (trailing)
        text[n++] = '/';
    memcpy(text + n, w->rest, rest + 1);
    kfree(w->buffer);
    w->buffer = text;
    w->rest = text;
    if (*text == '/' && (w->flags & PATH_BENEATH))
        return LINUX_ERRNO(EXDEV);
    if (*text == '/') {
        node_ref(w->root);
        node_unref(w->at);
        w->at = w->root;
        skip_slashes(w);
    }
    return OK;
}

/* *next becomes what the link leads to, or NULL when that is to be walked to. Gives up the link's
 * reference. */
static int follow_link(struct walk *w, struct node **next, bool trailing)
{
    struct node *link = *next;
    int r = ++w->links > LINKS_MAX || (w->flags & PATH_NO_LINKS) ? LINUX_ERRNO(ELOOP) : OK;

    if (r == OK && link->ops->follow && (w->flags & PATH_NO_MAGIC))
        r = LINUX_ERRNO(ELOOP);
    if (r == OK && link->ops->follow && (w->flags & (PATH_BENEATH | PATH_IN_ROOT)))
        r = LINUX_ERRNO(EXDEV);

    *next = NULL;
    if (r == OK && link->ops->follow)
        r = link->ops->follow(link, next);
    else if (r == OK)
        r = follow_text(w, link, trailing);
    node_unref(link);
    return r;
}

static void walk_to(struct walk *w, struct node *n)
{
    node_unref(w->at);
    w->at = n;
}

static int check_device(const struct walk *w)
{
    return (w->flags & PATH_NO_XDEV) && w->at->fs != w->start->fs ? LINUX_ERRNO(EXDEV) : OK;
}

static int step_up(struct walk *w)
{
    if (!node_is_folder(w->at))
        return LINUX_ERRNO(ENOTDIR);
    if (w->at == w->start && (w->flags & PATH_BENEATH))
        return LINUX_ERRNO(EXDEV);
    if (w->at == w->root)
        return OK;
    walk_to(w, node_parent(w->at));
    return check_device(w);
}

/* A file below a bind mount gets a seat when somebody asks for that alone. Gives up *next when it fails. */
static int take_seat(struct node *at, struct node **next)
{
    struct node *shown = *next;
    int r;

    if (!at->same || shown->same || shown->parent == at)
        return OK;
    r = seat_of(at, shown, next);
    node_unref(shown);
    return r;
}

/* Where a walk has ended, a reference. */
static struct node *walk_result(const struct walk *w, unsigned flags)
{
    struct node *n = flags & PATH_SEAT ? w->at : node_body(w->at);

    node_ref(n);
    return n;
}

/* Goes one part further. */
static int walk_step(struct walk *w, unsigned flags)
{
    char name[LINUX_NAME_MAX + 1];
    struct node *next;
    bool trailing, last;
    int r = take_part(w, name, &trailing);

    if (r != OK)
        return r;
    if (!node_is_folder(w->at))
        return LINUX_ERRNO(ENOTDIR);
    r = permission_check(node_body(w->at), PERMIT_EXECUTE);
    if (r != OK)
        return r;
    if (strcmp(name, ".") == 0)
        return OK;
    if (strcmp(name, "..") == 0)
        return step_up(w);
    r = node_lookup_place(w->at, name, &next);
    if (r != OK)
        return r;
    last = *w->rest == '\0';
    if (!last || !(flags & PATH_SEAT) || node_is_link(next))
        next = node_settle(next);
    if (node_is_link(next) && !(last && !trailing && (flags & PATH_NOFOLLOW))) {
        r = follow_link(w, &next, trailing);
        if (r != OK || !next)
            return r;
    }
    if (last && trailing && !node_is_folder(next)) {
        node_unref(next);
        return LINUX_ERRNO(ENOTDIR);
    }
    if (last && (flags & PATH_SEAT))
        r = take_seat(w->at, &next);
    if (r != OK)
        return r;
    walk_to(w, next);
    return check_device(w);
}

int path_lookup(struct node *start, const char *path, unsigned flags, struct node **out)
{
    struct walk w;
    int r = walk_start(&w, start, path, flags);

    if (r != OK)
        return r;
    while (r == OK && *w.rest != '\0')
        r = walk_step(&w, flags);
    if (r == OK && (flags & PATH_FOLDER) && !node_is_folder(w.at))
        r = LINUX_ERRNO(ENOTDIR);
    if (r == OK)
        *out = walk_result(&w, flags);
    walk_end(&w);
    return r;
}

/* The last part of the rest is a name of its own: not ".", "..", and nothing follows it. */
static bool at_last_name(const struct walk *w)
{
    size_t n = 0;

    while (w->rest[n] != '\0' && w->rest[n] != '/')
        n++;
    if ((n == 1 && w->rest[0] == '.') || (n == 2 && w->rest[0] == '.' && w->rest[1] == '.'))
        return false;
    while (w->rest[n] == '/')
        n++;
    return w->rest[n] == '\0';
}

int path_parent(struct node *start, const char *path, struct node **folder, char *name,
                bool *trailing_slash)
{
    return path_parent_how(start, path, 0, folder, name, trailing_slash);
}

int path_parent_how(struct node *start, const char *path, unsigned flags, struct node **folder,
                    char *name, bool *trailing_slash)
{
    struct walk w;
    bool trailing = false;
    int r = walk_start(&w, start, path, flags);

    if (r != OK)
        return r;
    name[0] = '\0';
    while (r == OK && *w.rest != '\0') {
        if (at_last_name(&w)) {
            r = take_part(&w, name, &trailing);
            break;
        }
        r = walk_step(&w, 0);
    }
    if (r == OK && !node_is_folder(w.at))
        r = LINUX_ERRNO(ENOTDIR);
    if (r == OK) {
        node_fill(node_body(w.at)); /* its list may be changed now */
        *folder = walk_result(&w, flags);
        if (trailing_slash)
            *trailing_slash = trailing;
    }
    walk_end(&w);
    return r;
}
