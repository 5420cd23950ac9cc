/* SPDX-License-Identifier: MIT */

/* Not a store: what the hardware and the kernel alone cost, to compare the
 * stores with. A set is one write of a record's bytes at the end of a file, a
 * batch one of all its records; a durable one adds an fdatasync. A get is two cache misses, the second
 * depending on the first, in a table and in the records, both in anonymous
 * memory. The command is /bin/true. */

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* A line of kvstore's log with such a key and value. */
#define RECORD_SIZE 169

struct store {
    int fd;
    bool is_durable;
    uint64_t end;
    uint64_t *table; /* Places of records, counted from 1; 0: none. */
    uint64_t mask;
    char *records;
    uint64_t keys;
};

static uint64_t slot_of(const struct store *store, const char *key)
{
    uint64_t word;
    memcpy(&word, key + BENCH_KEY_SIZE - sizeof word, sizeof word);
    return bench_scramble(word) & store->mask;
}

static bool build_table(struct store *store)
{
    uint64_t slots = 1;
    while (slots < store->keys * 2) {
        slots *= 2;
    }
    store->mask = slots - 1;
    store->table = calloc(slots, sizeof *store->table);
    store->records = malloc(store->keys * RECORD_SIZE);
    if (store->table == NULL || store->records == NULL) {
        return bench_fail("out of memory");
    }
    for (uint64_t i = 0; i < store->keys; i++) {
        char *record = store->records + i * RECORD_SIZE;
        bench_key(i, record);
        bench_value(record, 0, record + BENCH_KEY_SIZE);
        uint64_t slot = slot_of(store, record);
        while (store->table[slot] != 0) {
            slot = (slot + 1) & store->mask;
        }
        store->table[slot] = i + 1;
    }
    return true;
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    char path[PATH_MAX];
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL ||
        !bench_path(path, sizeof path, settings->dir, "floor")) {
        free(made);
        return false;
    }
    made->keys = settings->keys;
    made->is_durable = settings->is_durable;
    made->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made->fd == -1) {
        free(made);
        return bench_fail("%s", strerror(errno));
    }
    *store_out = made;
    return true;
}

static void close_store(void *argument)
{
    struct store *store = argument;
    (void)close(store->fd);
    free(store->table);
    free(store->records);
    free(store);
}

static void put(char *record, const char *key, const char *value)
{
    memcpy(record, key, BENCH_KEY_SIZE);
    memcpy(record + BENCH_KEY_SIZE, value, BENCH_VALUE_SIZE);
}

static bool append(struct store *store, const char *bytes, size_t size)
{
    ssize_t done = pwrite(store->fd, bytes, size, (off_t)store->end);
    store->end += size;
    if (done != (ssize_t)size ||
        (store->is_durable && fdatasync(store->fd) != 0)) {
        return bench_fail("%s", strerror(errno));
    }
    return true;
}

static bool set(void *argument, const char *key, const char *value)
{
    char record[RECORD_SIZE] = {0};
    put(record, key, value);
    return append(argument, record, sizeof record);
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    char *records = calloc(count, RECORD_SIZE);
    if (records == NULL) {
        return bench_fail("out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        put(records + i * RECORD_SIZE, pairs[i].key, pairs[i].value);
    }
    bool is_done = append(argument, records, count * RECORD_SIZE);
    free(records);
    return is_done;
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    if (store->table == NULL && !build_table(store)) {
        return BENCH_FAILED;
    }
    uint64_t slot = slot_of(store, key);
    while (store->table[slot] != 0) {
        const char *record =
            store->records + (store->table[slot] - 1) * RECORD_SIZE;
        if (memcmp(record, key, BENCH_KEY_SIZE) == 0) {
            memcpy(value_out, record + BENCH_KEY_SIZE, BENCH_VALUE_SIZE);
            return BENCH_FOUND;
        }
        slot = (slot + 1) & store->mask;
    }
    return BENCH_MISSING;
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    (void)task;
    command->arguments[0] = "true";
}

static const struct bench_store ground = {.name = "floor",
                                          .family = "floor",
                                          .is_floor = true,
                                          .survives_kill = "no store",
                                          .survives_power_cut = "no store",
                                          .writers = "no store",
                                          .open = open_store,
                                          .close = close_store,
                                          .set = set,
                                          .set_batch = set_batch,
                                          .get = get,
                                          .tool = tool};

const struct bench_store *const floor_stores[] = {&ground, NULL};
