/* SPDX-License-Identifier: MIT */

/* Loads many keys fast: lines KEY<TAB>VALUE from standard input.
 *
 *     bulk_load DIR <file
 *
 * Shows batches: a thousand sets cost one append and one sync, and are there all
 * together or not at all. */

#include <kvstore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { BATCH_COUNT = 1000 };

static int fail(const char *what)
{
    fprintf(stderr, "bulk_load: %s: %s\n", what, kvstore_last_error()->message);
    return EXIT_FAILURE;
}

/* Adds a line to a batch; the batch has a copy of it then. */
static kvstore_status add_line(kvstore_batch *batch, char *line, size_t size)
{
    if (size > 0 && line[size - 1] == '\n') {
        size--;
    }
    const char *tab = memchr(line, '\t', size);
    size_t key_size = tab == NULL ? size : (size_t)(tab - line);
    const char *value = tab == NULL ? "" : tab + 1;
    size_t value_size = tab == NULL ? 0 : size - key_size - 1;
    return kvstore_batch_set(
        batch, line, key_size, value, value_size, KVSTORE_EXPIRES_NEVER);
}

/* Writes the batch if it has so many changes, and empties it. */
static kvstore_status write_from(kvstore *store,
                                 kvstore_batch *batch,
                                 size_t count,
                                 size_t *total)
{
    if (kvstore_batch_count(batch) < count) {
        return KVSTORE_OK;
    }
    kvstore_status status = kvstore_write(store, batch);
    if (status == KVSTORE_OK) {
        *total += kvstore_batch_count(batch);
        kvstore_batch_clear(batch);
    }
    return status;
}

static kvstore_status load(kvstore *store, kvstore_batch *batch, size_t *total)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = 0;
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK &&
           (size = getline(&line, &capacity, stdin)) > 0) {
        status = add_line(batch, line, (size_t)size);
        if (status == KVSTORE_OK) {
            status = write_from(store, batch, BATCH_COUNT, total);
        }
    }
    free(line);
    return status == KVSTORE_OK ? write_from(store, batch, 1, total) : status;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: bulk_load DIR <file\n", stderr);
        return 2;
    }
    kvstore *store = NULL;
    kvstore_batch *batch = NULL;
    size_t total = 0;
    int result = EXIT_SUCCESS;
    if (kvstore_open(argv[1], NULL, &store) != KVSTORE_OK ||
        kvstore_batch_create(&batch) != KVSTORE_OK) {
        result = fail("cannot begin");
    } else if (load(store, batch, &total) != KVSTORE_OK) {
        result = fail("cannot load");
    } else if (ferror(stdin)) {
        perror("bulk_load: standard input");
        result = EXIT_FAILURE;
    }
    printf("%zu\n", total); /* These are on the disk. */
    kvstore_batch_free(batch);
    kvstore_close(store);
    return result;
}
