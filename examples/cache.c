/* SPDX-License-Identifier: MIT */

/* A cache on the disk, which processes share: a result is computed once, and
 * again when it has expired.
 *
 *     cache DIR NUMBER MILLISECONDS
 *
 * Shows a value that expires: kvstore_set_with(). Nothing has to remove what has
 * expired: it is absent, and a compaction drops it. */

#include <kvstore.h>

#include <stdio.h>
#include <stdlib.h>

/* Stands for something that takes long. */
static long compute(long number)
{
    return number * number;
}

static int fail(const char *what)
{
    fprintf(stderr, "cache: %s: %s\n", what, kvstore_last_error()->message);
    return EXIT_FAILURE;
}

static int compute_and_keep(kvstore *store,
                            const char *key,
                            size_t key_size,
                            long number,
                            int64_t lifetime_ms)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%ld", compute(number));
    kvstore_set_options options = {
        .size = sizeof options,
        .condition = KVSTORE_IF_ABSENT,
        .expires_ms = kvstore_now_ms() + lifetime_ms,
    };
    kvstore_status status =
        kvstore_set_with(store, key, key_size, text, (size_t)size, &options);
    /* KVSTORE_CONFLICT: another process was faster, with the same result. */
    if (status != KVSTORE_OK && status != KVSTORE_CONFLICT) {
        return fail("cannot keep the result");
    }
    printf("computed: %s\n", text);
    return EXIT_SUCCESS;
}

static int get_or_compute(kvstore *store, long number, int64_t lifetime_ms)
{
    char key[32];
    size_t key_size = (size_t)snprintf(key, sizeof key, "square:%ld", number);
    void *value = NULL;
    size_t value_size = 0;

    switch (kvstore_get(store, key, key_size, &value, &value_size)) {
    case KVSTORE_OK:
        printf("kept: %s\n", (const char *)value); /* A NUL comes after it. */
        kvstore_free(value);
        return EXIT_SUCCESS;
    case KVSTORE_NOT_FOUND: /* Never computed, or expired. */
        return compute_and_keep(store, key, key_size, number, lifetime_ms);
    default:
        return fail("cannot read");
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: cache DIR NUMBER MILLISECONDS\n", stderr);
        return 2;
    }
    /* What a cache loses by a power cut is computed again: no sync is needed. A
     * program that soon ends has its own calls compact. */
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_INLINE;
    kvstore *store = NULL;
    if (kvstore_open(argv[1], &options, &store) != KVSTORE_OK) {
        return fail("cannot open the store");
    }
    int result = get_or_compute(
        store, strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
    kvstore_close(store);
    return result;
}
