/* SPDX-License-Identifier: MIT */

/* Checks what a power cut has left. */

#include "crash_check.h"

#include "scratch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Promises --- */

void crash_promises_begin(struct crash_promises *promises)
{
    memset(promises, 0, sizeof *promises);
    for (int i = 0; i < CRASH_KEYS_MAX; i++) {
        promises->keys[i].count = 1;
    }
}

static void settle(struct crash_promises *promises, int key)
{
    promises->keys[key].values[0] = promises->keys[key].acknowledged;
    promises->keys[key].count = 1;
}

void crash_promises_step(struct crash_promises *promises,
                         const struct crash_event *event)
{
    size_t *count = &promises->keys[event->key].count;
    switch (event->type) {
    case CRASH_BARRIER:
        for (int i = 0; i < CRASH_KEYS_MAX; i++) {
            settle(promises, i);
        }
        break;
    case CRASH_BEGIN:
        if (*count == CRASH_VALUES_MAX) {
            scratch_die("too many values in a trace");
        }
        promises->keys[event->key].values[(*count)++] = event->value;
        break;
    case CRASH_ACK:
        promises->keys[event->key].acknowledged = event->value;
        if (event->is_durable) {
            settle(promises, event->key);
        }
        break;
    default:
        break;
    }
}

bool crash_promises_allow(const struct crash_promises *promises,
                          int key,
                          const char *value,
                          const char **own_out)
{
    for (size_t i = 0; i < promises->keys[key].count; i++) {
        const char *allowed = promises->keys[key].values[i];
        if (allowed == value ||
            (allowed != NULL && value != NULL && strcmp(allowed, value) == 0)) {
            *own_out = allowed;
            return true;
        }
    }
    return false;
}

void crash_complain(struct crash_result *result,
                    size_t event,
                    const char *what,
                    const char *detail)
{
    if (result->violations++ == 0) {
        (void)snprintf(result->first,
                       sizeof result->first,
                       "at event %zu: %s %.100s",
                       event,
                       what,
                       detail);
    }
}

/* --- Files --- */

/* All files but the index. */
struct picture {
    struct crash_file files[CRASH_FILES_MAX];
    int count;
    const char *path;
};

static void take_file(void *context, const char *name)
{
    struct picture *picture = context;
    if (strncmp(name, "store.index", 11) == 0) {
        return;
    }
    if (picture->count == CRASH_FILES_MAX) {
        scratch_die("too many files after a recovery");
    }
    struct crash_file *file = &picture->files[picture->count++];
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    file->bytes = scratch_read(picture->path, name, &file->size);
}

static void take_picture(struct picture *picture, const char *path)
{
    *picture = (struct picture){.path = path};
    scratch_list(path, take_file, picture);
}

static void release_picture(struct picture *picture)
{
    for (int i = 0; i < picture->count; i++) {
        free(picture->files[i].bytes);
    }
    picture->count = 0;
}

static const struct crash_file *find_file(const struct picture *picture,
                                          const char *name)
{
    for (int i = 0; i < picture->count; i++) {
        if (strcmp(picture->files[i].name, name) == 0) {
            return &picture->files[i];
        }
    }
    return NULL;
}

/* True if there is nothing in the log but the old bytes and one more line. */
static bool has_got_a_line(const struct crash_file *old,
                           const struct crash_file *new)
{
    if (new->size <= old->size ||
        memcmp(old->bytes, new->bytes, old->size) != 0) {
        return false;
    }
    const char *line = new->bytes + old->size;
    size_t size = new->size - old->size;
    return line[0] == '{' && memchr(line, '\n', size) == line + size - 1;
}

/* True if the same files hold the same bytes, but that the log has got a line. */
static bool is_continued(const struct picture *before,
                         const struct picture *after)
{
    bool is_same = before->count == after->count;
    for (int i = 0; i < before->count && is_same; i++) {
        const struct crash_file *old = &before->files[i];
        const struct crash_file *new = find_file(after, old->name);
        is_same =
            new != NULL &&
            (strcmp(old->name, "store.log") == 0
                 ? has_got_a_line(old, new)
                 : new->size ==
                       old->size &&memcmp(old->bytes, new->bytes, old->size) ==
                       0);
    }
    return is_same;
}

/* --- One state --- */

struct check {
    const struct crash_trace *trace;
    const struct crash_promises *promises;
    const char *path;
    size_t event;
    struct crash_result *result;
    char *seen[CRASH_KEYS_MAX];
    struct picture recovered; /* What the first one left who wrote. */
    int round;
    bool compacts;
};

static void complain(struct check *check, const char *what, const char *detail)
{
    crash_complain(check->result, check->event, what, detail);
}

/* A value seen before must be seen again. */
static void check_value(struct check *check, int key, char *value)
{
    const char *name = check->trace->keys[key];
    const char *seen = check->seen[key];
    const char *own = NULL;
    if (!crash_promises_allow(check->promises, key, value, &own)) {
        complain(check, "a key has a wrong value:", name);
    } else if (check->round > 0 &&
               ((seen == NULL) != (value == NULL) ||
                (value != NULL && strcmp(seen, value) != 0))) {
        complain(check, "a value did not stay:", name);
    }
}

static void check_keys(struct check *check, const kvstore *store)
{
    for (int i = 0; i < check->trace->key_count; i++) {
        const char *key = check->trace->keys[i];
        void *value = NULL;
        size_t size = 0;
        kvstore_status status =
            kvstore_get(store, key, strlen(key), &value, &size);
        bool is_told = status == KVSTORE_CORRUPT &&
                       check->result->may_be_damaged &&
                       check->promises->keys[i].count > 1;
        if (is_told) {
            check->result->told += check->round == 0 ? 1 : 0;
        } else if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
            complain(check, "a get failed:", key);
        } else {
            check_value(check, i, value);
        }
        kvstore_free(check->seen[i]);
        check->seen[i] = value;
    }
}

/* Returns how many keys there are if a group has all of its keys or none. */
static uint64_t count_keys(const struct check *check)
{
    const struct crash_trace *trace = check->trace;
    uint64_t count = check->round > 0 ? 1 : 0; /* The probe. */
    for (int i = 0; i < trace->key_count; i++) {
        count += check->seen[i] != NULL ? 1 : 0;
        for (int j = 0; j < trace->group_count && check->seen[i] != NULL; j++) {
            bool is_first =
                strcmp(trace->groups[j]->first, trace->keys[i]) == 0;
            count += is_first ? trace->groups[j]->count - 1 : 0;
        }
    }
    return count;
}

static void check_counts(struct check *check, const kvstore *store)
{
    kvstore_stats stats;
    if (kvstore_get_stats(store, &stats) != KVSTORE_OK ||
        stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                stats.damaged_bytes !=
            stats.log_bytes) {
        complain(check, "the bytes do not add up", "");
    } else if (stats.damaged_records == 0 && stats.keys != count_keys(check)) {
        complain(check, "keys are missing, or there are others", "");
    }
    check->result->damaged += check->round == 0 && stats.damaged_records > 0;
}

/* The keys of a pair were written by batches alone: they have the same value, or
 * a damaged line is told. */
static void check_pair(struct check *check, const kvstore *store)
{
    const char *const keys[] = {CRASH_PAIR_ONE, CRASH_PAIR_OTHER};
    char *values[2] = {NULL};
    kvstore_status statuses[2];
    for (int i = 0; i < 2; i++) {
        void *value = NULL;
        size_t size = 0;
        statuses[i] =
            kvstore_get(store, keys[i], strlen(keys[i]), &value, &size);
        values[i] = value;
    }
    bool is_same =
        statuses[0] == statuses[1] &&
        (statuses[0] != KVSTORE_OK || strcmp(values[0], values[1]) == 0);
    bool is_told =
        statuses[0] == KVSTORE_CORRUPT || statuses[1] == KVSTORE_CORRUPT;
    if (!is_same && !is_told) {
        complain(check, "half of a batch is there", "");
    }
    kvstore_free(values[0]);
    kvstore_free(values[1]);
}

/* The first handle that writes recovers the store. The second one finds nothing
 * to recover: it adds its line. */
static void check_files(struct check *check)
{
    struct picture now;
    take_picture(&now, check->path);
    if (!is_continued(&check->recovered, &now)) {
        complain(check, "a recovered store was recovered again", "");
    }
    release_picture(&now);
}

static void write_probe(struct check *check, kvstore *store)
{
    if (kvstore_set(store, "probe", 5, "1", 1) != KVSTORE_OK) {
        complain(check, "set:", kvstore_last_error()->message);
    }
    if (check->round == 0 && check->compacts &&
        kvstore_compact(store) != KVSTORE_OK) {
        complain(check, "compact:", kvstore_last_error()->message);
    }
}

/* False: the store cannot be opened. */
static bool check_round(struct check *check, bool is_exclusive)
{
    kvstore *store = NULL;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.exclusive = is_exclusive;
    if (kvstore_open(check->path, &options, &store) != KVSTORE_OK) {
        complain(check, "open:", kvstore_last_error()->message);
        return false;
    }
    check_keys(check, store);
    check_counts(check, store);
    check_pair(check, store);
    write_probe(check, store);
    kvstore_close(store);
    return true;
}

void crash_check(const struct crash_trace *trace,
                 const struct crash_promises *promises,
                 const char *path,
                 size_t event,
                 struct crash_result *result)
{
    uint64_t number = ++result->states;
    struct check check = {.trace = trace,
                          .promises = promises,
                          .path = path,
                          .event = event,
                          .result = result,
                          .compacts = number % 8 == 0};
    if (check_round(&check, number % 3 == 0)) {
        take_picture(&check.recovered, path);
        check.round = 1;
        if (check_round(&check, false)) {
            check_files(&check);
        }
        release_picture(&check.recovered);
    }
    for (int i = 0; i < CRASH_KEYS_MAX; i++) {
        kvstore_free(check.seen[i]);
    }
}
