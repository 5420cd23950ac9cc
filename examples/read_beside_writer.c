/* SPDX-License-Identifier: MIT */

/* Reads beside a writer in another process.
 *
 *     read_beside_writer DIR
 *
 * Shows an iterator, which has the keys as they were when it was made, and a
 * watcher, which is told each change that is made from then on. */

#include <kvstore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const fruits[] = {"fruit:apple",
                                     "fruit:lemon",
                                     "fruit:plum"};

static int fail(const char *what)
{
    fprintf(stderr,
            "read_beside_writer: %s: %s\n",
            what,
            kvstore_last_error()->message);
    return EXIT_FAILURE;
}

static kvstore_status set_text(kvstore *store,
                               const char *key,
                               const char *text)
{
    return kvstore_set(store, key, strlen(key), text, strlen(text));
}

static kvstore_status set_all(kvstore *store, const char *text)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; i < 3 && status == KVSTORE_OK; i++) {
        status = set_text(store, fruits[i], text);
    }
    return status;
}

/* The child: after fork() it needs a handle of its own. */
static int write_beside(const char *dir)
{
    kvstore *own = NULL;
    if (kvstore_open(dir, NULL, &own) != KVSTORE_OK ||
        set_all(own, "new") != KVSTORE_OK ||
        kvstore_remove(own, "fruit:lemon", 11) != KVSTORE_OK ||
        set_text(own, "fruit:~end", "") != KVSTORE_OK) {
        return fail("the writer failed");
    }
    kvstore_close(own);
    return EXIT_SUCCESS;
}

/* Prints what the watcher is told, up to the writer's last key. */
static kvstore_status watch(kvstore_watcher *watcher)
{
    const kvstore_change *change = NULL;
    for (;;) {
        kvstore_status status = kvstore_watcher_next(watcher, 10000, &change);
        if (status != KVSTORE_OK) {
            return status; /* KVSTORE_NOT_FOUND: nothing for ten seconds. */
        }
        if (change->entry == NULL) {
            continue; /* A reset: whoever keeps a copy would begin anew. */
        }
        const kvstore_entry *entry = change->entry;
        printf("watcher: %s %.*s\n",
               change->kind == KVSTORE_CHANGE_SET ? "set" : "remove",
               (int)entry->key_size,
               (const char *)entry->key);
        if (entry->key_size == 10 &&
            memcmp(entry->key, "fruit:~end", 10) == 0) {
            return KVSTORE_OK;
        }
    }
}

static kvstore_status iterate(kvstore_iterator *iterator)
{
    const kvstore_entry *entry = NULL;
    kvstore_status status = kvstore_iterator_next(iterator, &entry);
    while (status == KVSTORE_OK) {
        if (entry->status == KVSTORE_OK) { /* Else the line is damaged. */
            printf("iterator: %.*s %s\n",
                   (int)entry->key_size,
                   (const char *)entry->key,
                   (const char *)entry->value);
        }
        status = kvstore_iterator_next(iterator, &entry);
    }
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

static int read_beside(const char *dir,
                       kvstore_iterator *iterator,
                       kvstore_watcher *watcher)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        _exit(write_beside(dir));
    }
    if (child < 0) {
        perror("read_beside_writer: fork");
        return EXIT_FAILURE;
    }
    kvstore_status watched = watch(watcher);
    int ended = 0;
    if (waitpid(child, &ended, 0) != child || ended != 0 ||
        watched == KVSTORE_NOT_FOUND) {
        return EXIT_FAILURE;
    }
    if (watched != KVSTORE_OK || iterate(iterator) != KVSTORE_OK) {
        return fail("cannot read");
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: read_beside_writer DIR\n", stderr);
        return 2;
    }
    const kvstore_range range = {
        .size = sizeof range, .prefix = "fruit:", .prefix_size = 6};
    const kvstore_watch_options options = {
        .size = sizeof options, .prefix = "fruit:", .prefix_size = 6};
    kvstore *store = NULL;
    kvstore_iterator *iterator = NULL;
    kvstore_watcher *watcher = NULL;
    int result = EXIT_SUCCESS;
    if (kvstore_open(argv[1], NULL, &store) != KVSTORE_OK ||
        set_all(store, "old") != KVSTORE_OK ||
        kvstore_iterator_create(store, &range, &iterator) != KVSTORE_OK ||
        kvstore_watcher_create(store, &options, &watcher) != KVSTORE_OK) {
        result = fail("cannot begin");
    } else {
        result = read_beside(argv[1], iterator, watcher);
    }
    kvstore_watcher_free(watcher);
    kvstore_iterator_free(iterator);
    kvstore_close(store);
    return result;
}
