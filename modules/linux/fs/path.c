/*
 * path.c: from a path to a node: ".", "..", symbolic links, limits. See node.h.
 */
#include "modules/linux/fs/node.h"

#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/process/process.h"

#define LINKS_MAX 40 /* as Linux: more on one path is ELOOP */

/* A walk along a path. */
struct walk {
    struct node *root; /* where absolute paths start; a reference */
    struct node *at;   /* folder reached; a reference */
    const char *rest;  /* what is left of the path, no leading slash */
    char *buffer;      /* what `rest` points into after a link was followed; NULL before */
    unsigned links;
};

struct node *path_root(void)
{
    struct task *t = task_current();
    struct node *root = node_root;

    if (!t) {
        node_ref(root);
        return root;
    }
    mutex_lock(&t->process->fs->lock);
    root = t->process->fs->root;
    node_ref(root);
    mutex_unlock(&t->process->fs->lock);
    return root;
}

static void skip_slashes(struct walk *w)
{
    while (*w->rest == '/')
        w->rest++;
}

static int walk_start(struct walk *w, struct node *start, const char *path)
{
    if (*path == '\0')
        return ERR_NOT_FOUND;
    if (strlen(path) >= LINUX_PATH_MAX)
        return LINUX_ERRNO(ENAMETOOLONG);
    *w = (struct walk){.root = path_root(), .rest = path};
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
static int follow_link(struct walk *w, struct node *link, bool trailing)
{
    size_t rest = strlen(w->rest);
    char *text;
    long n;

    if (++w->links > LINKS_MAX)
        return LINUX_ERRNO(ELOOP);
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
    if (*text == '/') {
        node_ref(w->root);
        node_unref(w->at);
        w->at = w->root;
        skip_slashes(w);
    }
    return OK;
}

/* A link that leads to a node rather than to a name. */
static int follow_target(struct walk *w, struct node *link, struct node **out)
{
    return ++w->links > LINKS_MAX ? LINUX_ERRNO(ELOOP) : link->ops->target(link, out);
}

static void walk_to(struct walk *w, struct node *n)
{
    node_unref(w->at);
    w->at = n;
}

static int step_up(struct walk *w)
{
    if (!node_is_folder(w->at))
        return LINUX_ERRNO(ENOTDIR);
    if (w->at != w->root)
        walk_to(w, node_parent(w->at));
    return OK;
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
    r = permission_check(w->at, PERMIT_EXECUTE);
    if (r != OK)
        return r;
    if (strcmp(name, ".") == 0)
        return OK;
    if (strcmp(name, "..") == 0)
        return step_up(w);
    r = node_lookup(w->at, name, &next);
    if (r != OK)
        return r;
    last = *w->rest == '\0';
    if (node_is_link(next) && !(last && !trailing && (flags & PATH_NOFOLLOW))) {
        struct node *link = next;
        bool leads = link->ops->target != NULL;

        r = leads ? follow_target(w, link, &next) : follow_link(w, link, trailing);
        node_unref(link);
        if (r != OK || !leads)
            return r;
    }
    if (last && trailing && !node_is_folder(next)) {
        node_unref(next);
        return LINUX_ERRNO(ENOTDIR);
    }
    walk_to(w, next);
    return OK;
}

int path_lookup(struct node *start, const char *path, unsigned flags, struct node **out)
{
    struct walk w;
    int r = walk_start(&w, start, path);

    if (r != OK)
        return r;
    while (r == OK && *w.rest != '\0')
        r = walk_step(&w, flags);
    if (r == OK && (flags & PATH_FOLDER) && !node_is_folder(w.at))
        r = LINUX_ERRNO(ENOTDIR);
    if (r == OK) {
        *out = w.at;
        node_ref(w.at);
    }
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
    struct walk w;
    bool trailing = false;
    int r = walk_start(&w, start, path);

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
        *folder = w.at;
        node_ref(w.at);
        if (trailing_slash)
            *trailing_slash = trailing;
    }
    walk_end(&w);
    return r;
}
