/* SPDX-License-Identifier: MIT */

/* Runs scripts. */

#include "crash_script.h"

#include "any_status.h"
#include "scratch.h"

#include <stdio.h>
#include <string.h>

/* One value for each place in a script; a long one spans several sectors. */
static char short_values[CRASH_SCRIPT_MAX][16];
static char long_values[CRASH_SCRIPT_MAX][1300];

/* The new keys of each place. */
static struct {
    char prefix[32];
    char first[32];
} group_names[CRASH_SCRIPT_MAX];
static struct crash_group groups[CRASH_SCRIPT_MAX];

void crash_script_prepare(void)
{
    for (size_t i = 0; i < CRASH_SCRIPT_MAX; i++) {
        (void)snprintf(short_values[i], sizeof short_values[i], "%zu", i + 1);
        /* What follows a lost sector begins as a line does. */
        memset(long_values[i], '{', sizeof long_values[i] - 1);
        (void)snprintf(long_values[i], 16, "long %zu", i + 1);
        long_values[i][strlen(long_values[i])] = '.';
        (void)snprintf(
            group_names[i].prefix, sizeof group_names[i].prefix, "g%zu.", i);
        (void)snprintf(
            group_names[i].first, sizeof group_names[i].first, "g%zu.0", i);
        groups[i] = (struct crash_group){.prefix = group_names[i].prefix,
                                         .first = group_names[i].first,
                                         .count = CRASH_SCRIPT_GROUP};
    }
}

struct actors {
    struct crash_trace *trace;
    const kvstore_options *options;
    kvstore *stores[2];
};

/* Returns the first or the second handle, opened when it is needed. */
static kvstore *get_store(struct actors *actors, int which)
{
    if (actors->stores[which] == NULL) {
        any_status(kvstore_open(
            actors->trace->path, actors->options, &actors->stores[which]));
    }
    return actors->stores[which];
}

static void put(struct actors *actors,
                int which,
                const char *key,
                const char *value)
{
    kvstore *store = get_store(actors, which);
    if (store != NULL) {
        (void)crash_trace_set(actors->trace,
                              store,
                              key,
                              value,
                              actors->options->sync == KVSTORE_SYNC_ALWAYS);
    }
}

static void put_pair(struct actors *actors, const char *value)
{
    kvstore *store = get_store(actors, 0);
    if (store != NULL) {
        (void)crash_trace_write(actors->trace,
                                store,
                                value,
                                actors->options->sync == KVSTORE_SYNC_ALWAYS);
    }
}

/* Gives a store so many new keys that its index grows. */
static void grow(struct actors *actors, size_t place)
{
    kvstore *store = get_store(actors, 0);
    if (store != NULL) {
        (void)crash_trace_grow(actors->trace,
                               store,
                               &groups[place],
                               short_values[place],
                               actors->options->sync == KVSTORE_SYNC_ALWAYS);
    }
}

/* What a durable handle reads must stay. */
static void see(struct actors *actors)
{
    void *value = NULL;
    size_t size = 0;
    kvstore *store = NULL;
    if (kvstore_open(actors->trace->path, NULL, &store) == KVSTORE_OK) {
        kvstore_status status = kvstore_get(store, "a", 1, &value, &size);
        if (status == KVSTORE_OK || status == KVSTORE_NOT_FOUND) {
            crash_trace_see(actors->trace, "a", value);
        }
    }
    kvstore_free(value);
    kvstore_close(store);
}

/* Does an operation that changes a key or more. False: it is none. */
static bool act_on_keys(struct actors *actors, char operation, size_t place)
{
    switch (operation) {
    case 's':
        put(actors, 0, "a", short_values[place]);
        return true;
    case 'l':
        put(actors, 0, "a", long_values[place]);
        return true;
    case 'b':
        put(actors, 0, "b", short_values[place]);
        return true;
    case 'r':
        put(actors, 0, "a", NULL);
        return true;
    case 'w':
        put_pair(actors, short_values[place]);
        return true;
    case 'W':
        put_pair(actors, long_values[place]);
        return true;
    case 'G':
        grow(actors, place);
        return true;
    case 'S':
        put(actors, 1, "a", short_values[place]);
        return true;
    case 'L':
        put(actors, 1, "b", long_values[place]);
        return true;
    default:
        return false;
    }
}

static void act_on_store(struct actors *actors, char operation)
{
    kvstore *store = get_store(actors, operation == 'C');
    if (store == NULL) {
        return;
    }
    switch (operation) {
    case 'c':
    case 'C':
        any_status(kvstore_compact(store));
        break;
    case 'p':
        any_status(kvstore_repair(store, NULL, NULL));
        break;
    case 'y':
        crash_trace_barrier(actors->trace, kvstore_sync(store));
        break;
    default:
        scratch_die("no such operation");
    }
}

/* Does one operation. */
static void act(struct actors *actors, char operation, size_t place)
{
    if (act_on_keys(actors, operation, place)) {
        return;
    }
    switch (operation) {
    case 'o':
        kvstore_close(actors->stores[0]);
        actors->stores[0] = NULL;
        break;
    case 'g':
        see(actors);
        break;
    default:
        act_on_store(actors, operation);
    }
}

void crash_script_run(struct crash_trace *trace,
                      const char *script,
                      const kvstore_options *options)
{
    struct actors actors = {.trace = trace, .options = options};
    for (size_t i = 0; script[i] != '\0'; i++) {
        act(&actors, script[i], i);
    }
    kvstore_close(actors.stores[0]);
    kvstore_close(actors.stores[1]);
}

void crash_script_expect(struct crash_trace *trace)
{
    if (trace->base_count > 0) {
        crash_trace_expect(trace, "a", "0");
        crash_trace_expect(trace, "b", "0");
    }
    if (trace->base_count > 0 &&
        trace->base[0].bytes[trace->base[0].size - 1] == '}') {
        /* A line without its end is not acknowledged. */
        crash_trace_allow(trace, "b", NULL);
    }
}

/* Makes the i-th of all scripts of a length. */
void crash_script_make(const char *operations,
                       size_t length,
                       size_t i,
                       char script_out[CRASH_SCRIPT_MAX])
{
    size_t count = strlen(operations);
    for (size_t place = 0; place < length; place++) {
        script_out[place] = operations[i % count];
        i /= count;
    }
    script_out[length] = '\0';
}

size_t crash_script_count(const char *operations, size_t length)
{
    size_t count = 1;
    for (size_t i = 0; i < length; i++) {
        count *= strlen(operations);
    }
    return count;
}
