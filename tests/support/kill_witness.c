/* SPDX-License-Identifier: MIT */

/* Reads, writes and counts after a death, with each handle in turn. */

#include "kill_witness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)

/* A call that builds or completes an index waits 50 ms; none waits longer. */
#define LONGEST_WAIT_NS (60 * NS_PER_MS)
#define MOMENT_NS (20 * NS_PER_MS)

/* After a writer that died in the middle of its totals, who opens the store
 * tries twice for a millisecond to find totals of one moment. */
#define PROMPT_NS (3 * NS_PER_MS)

/* --- Opening --- */

static kvstore_options make_options(const struct kill_trial *trial, int sync)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = sync;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    options.lock_timeout_ms = trial->lock_timeout_ms;
    return options;
}

static void set_longest_wait(struct kill_trial *trial, bool is_prompt)
{
    trial->longest_wait_ns = is_prompt ? PROMPT_NS : LONGEST_WAIT_NS;
    if (!is_prompt && trial->lock_timeout_ms > 0) {
        trial->longest_wait_ns += trial->lock_timeout_ms * NS_PER_MS;
    }
}

/* Complains if the call that began then has taken too long. */
static void check_wait(struct kill_trial *trial,
                       const char *who,
                       int64_t begun_ns)
{
    if (trial->board->now_ns - begun_ns > trial->longest_wait_ns) {
        kill_trial_complain(
            trial,
            "%s waited %lld ms",
            who,
            (long long)((trial->board->now_ns - begun_ns) / NS_PER_MS));
    }
}

static kvstore *open_store(struct kill_trial *trial,
                           const char *who,
                           int sync,
                           bool is_read_only)
{
    kvstore *store = NULL;
    kvstore_options options = make_options(trial, sync);
    options.read_only = is_read_only;
    int64_t begun_ns = trial->board->now_ns;
    bool has_log = scratch_has(trial->path, "store.log");
    kvstore_status status = kvstore_open(trial->path, &options, &store);
    bool is_none = status == KVSTORE_IO && is_read_only && !has_log &&
                   kvstore_last_error()->system_errno == ENOENT;
    if (status != KVSTORE_OK && !is_none) {
        kill_trial_complain(
            trial, "%s cannot open: %s", who, kvstore_last_error()->message);
    }
    check_wait(trial, who, begun_ns);
    return store;
}

static kvstore *ensure_open(struct kill_trial *trial,
                            kvstore **store,
                            int sync,
                            bool is_read_only)
{
    if (*store == NULL) {
        *store = open_store(trial, "a first opener", sync, is_read_only);
    }
    return *store;
}

void kill_witness_open(struct kill_trial *trial)
{
    set_longest_wait(trial, false);
    (void)ensure_open(trial, &trial->durable, KVSTORE_SYNC_ALWAYS, false);
    (void)ensure_open(trial, &trial->reader, KVSTORE_SYNC_ALWAYS, false);
    (void)ensure_open(trial, &trial->watcher, KVSTORE_SYNC_ALWAYS, true);
    (void)ensure_open(trial, &trial->unsynced, KVSTORE_SYNC_NONE, false);
}

void kill_witness_close(struct kill_trial *trial)
{
    kvstore_close(trial->reader);
    kvstore_close(trial->watcher);
    kvstore_close(trial->unsynced);
    kvstore_close(trial->durable);
    trial->reader = NULL;
    trial->watcher = NULL;
    trial->unsynced = NULL;
    trial->durable = NULL;
}

/* --- Reading --- */

/* An empty text expects no value. */
static bool holds(const char *value, const char *expected)
{
    return expected[0] == '\0' ? value == NULL
                               : value != NULL && strcmp(value, expected) == 0;
}

/* The key holds its next value from now on. */
static void settle(struct kill_key *key)
{
    memcpy(key->value, key->next, sizeof key->value);
    key->may_change = false;
}

/* A handle that may write the index was used: what a read-only handle returned
 * is in the index, or else was taken back. */
static void settle_told(struct kill_trial *trial)
{
    for (size_t i = 0; i < trial->key_count && !trial->is_refused; i++) {
        if (trial->keys[i].may_change && trial->keys[i].is_next_told) {
            settle(&trial->keys[i]);
        }
    }
}

static void judge_value(struct kill_trial *trial,
                        const char *who,
                        bool is_read_only,
                        struct kill_key *key,
                        const char *value)
{
    if (holds(value, key->value)) {
        return;
    }
    key->was_next_seen = true;
    if (!key->may_change || !holds(value, key->next)) {
        kill_trial_complain(trial,
                            "%s reads %s of %s, not %s",
                            who,
                            value == NULL ? "nothing" : value,
                            key->key,
                            key->value[0] == '\0' ? "nothing" : key->value);
    } else if (is_read_only) {
        key->is_next_told = true;
    } else {
        settle(key);
    }
}

static void read_key(struct kill_trial *trial,
                     const char *who,
                     bool is_read_only,
                     const kvstore *store,
                     struct kill_key *key)
{
    void *value = NULL;
    size_t size = 0;
    int64_t begun_ns = trial->board->now_ns;
    kvstore_status status =
        kvstore_get(store, key->key, strlen(key->key), &value, &size);
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        kill_trial_complain(trial,
                            "%s cannot read %s: %s",
                            who,
                            key->key,
                            kvstore_last_error()->message);
    } else {
        judge_value(trial, who, is_read_only, key, value);
    }
    kvstore_free(value);
    check_wait(trial, who, begun_ns);
}

/* A batch is there as a whole, or not at all. */
static void check_batch(struct kill_trial *trial,
                        const char *who,
                        const struct kill_key *key)
{
    if (key->partner != NULL && key->was_unsettled &&
        key->partner->was_unsettled &&
        key->was_next_seen != key->partner->was_next_seen) {
        kill_trial_complain(trial,
                            "%s reads half of a batch: %s, %s",
                            who,
                            key->key,
                            key->partner->key);
    }
}

/* Reads all keys; of the bulk keys every one, or some. */
static void read_all(struct kill_trial *trial,
                     const char *who,
                     bool is_read_only,
                     const kvstore *store,
                     unsigned bulk_step)
{
    for (size_t i = 0; i < trial->key_count && store != NULL; i++) {
        trial->keys[i].was_unsettled =
            trial->keys[i].may_change && !trial->keys[i].is_next_told;
        trial->keys[i].was_next_seen = false;
    }
    for (size_t i = 0; i < trial->key_count && store != NULL; i++) {
        read_key(trial, who, is_read_only, store, &trial->keys[i]);
    }
    for (size_t i = 0; i < trial->key_count && store != NULL; i++) {
        check_batch(trial, who, &trial->keys[i]);
    }
    for (unsigned i = 0; i < trial->bulk_count && store != NULL;
         i += bulk_step) {
        struct kill_key key = {.value = "bulk"};
        (void)snprintf(key.key, sizeof key.key, "k%u", i);
        read_key(trial, who, is_read_only, store, &key);
    }
}

static void open_and_read(struct kill_trial *trial,
                          const char *who,
                          bool is_read_only,
                          unsigned bulk_step)
{
    kvstore *store = open_store(trial, who, KVSTORE_SYNC_ALWAYS, is_read_only);
    if (!is_read_only) {
        settle_told(trial);
    }
    read_all(trial, who, is_read_only, store, bulk_step);
    kvstore_close(store);
}

/* --- Writing --- */

void kill_witness_write(struct kill_trial *trial,
                        const char *who,
                        kvstore *store,
                        const char *key,
                        const char *value)
{
    kvstore_status status =
        value[0] == '\0'
            ? kvstore_remove(store, key, strlen(key))
            : kvstore_set(store, key, strlen(key), value, strlen(value));
    bool is_refusal = status == KVSTORE_IO && trial->operation->may_refuse;
    trial->is_refused = is_refusal;
    if (status == KVSTORE_OK) {
        settle_told(trial);
        kill_trial_expect(trial, key, value);
    } else if (!is_refusal) {
        kill_trial_complain(trial,
                            "%s cannot write %s: %s",
                            who,
                            key,
                            kvstore_last_error()->message);
    }
}

/* Overwrites a key, sets a new one, and removes the previous new one. */
static void write_some(struct kill_trial *trial,
                       const char *who,
                       kvstore *store,
                       char letter)
{
    char key[KILL_TEXT_SIZE] = {letter, '\0'};
    char value[KILL_TEXT_SIZE];
    int64_t begun_ns = trial->board->now_ns;
    if (store == NULL) {
        return;
    }
    trial->serial++;
    (void)snprintf(value, sizeof value, "v%u", trial->serial);
    kill_witness_write(trial, who, store, key, value);
    (void)snprintf(key, sizeof key, "%c-%u", letter, trial->serial);
    kill_witness_write(trial, who, store, key, value);
    for (size_t i = 0; i < trial->key_count; i++) {
        const struct kill_key *old = &trial->keys[i];
        if (old->key[0] == letter && old->key[1] == '-' &&
            old->value[0] != '\0' && strcmp(old->key, key) != 0) {
            kill_witness_write(trial, who, store, old->key, "");
        }
    }
    check_wait(trial, who, begun_ns);
}

static void open_and_write(struct kill_trial *trial)
{
    int sync = trial->serial % 2 == 0 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    kvstore *store = open_store(trial, "a writing opener", sync, false);
    settle_told(trial);
    write_some(trial, "a writing opener", store, 'O');
    kvstore_close(store);
}

static void take_turn(struct kill_trial *trial, char letter)
{
    unsigned bulk_step = trial->bulk_count / 3 + 1;
    switch (letter) {
    case 'r':
        (void)ensure_open(trial, &trial->reader, KVSTORE_SYNC_ALWAYS, false);
        read_all(trial, "the reader", false, trial->reader, bulk_step);
        break;
    case 'q':
        (void)ensure_open(trial, &trial->watcher, KVSTORE_SYNC_ALWAYS, true);
        read_all(trial, "the watcher", true, trial->watcher, bulk_step);
        break;
    case 'n':
        (void)ensure_open(trial, &trial->unsynced, KVSTORE_SYNC_NONE, false);
        write_some(trial, "the unsynced writer", trial->unsynced, 'n');
        break;
    case 'd':
        (void)ensure_open(trial, &trial->durable, KVSTORE_SYNC_ALWAYS, false);
        write_some(trial, "the durable writer", trial->durable, 'd');
        break;
    case 'o':
        open_and_read(trial, "an opener", false, bulk_step);
        break;
    case 'p':
        open_and_read(trial, "a read-only opener", true, bulk_step);
        break;
    case 'O':
        open_and_write(trial);
        break;
    default:
        trial->board->now_ns += MOMENT_NS;
        break;
    }
}

void kill_witness_go_on(struct kill_trial *trial, const char *order)
{
    for (; *order != '\0'; order++) {
        take_turn(trial, *order);
    }
}

void kill_witness_look_first(struct kill_trial *trial)
{
    /* A handle that found the store busy gives way for a while. */
    set_longest_wait(
        trial, trial->operation->is_prompt && trial->plan.signal != SIGSTOP);
    kill_witness_go_on(trial, trial->order);
    set_longest_wait(trial, false);
}

/* --- The new pair --- */

/* Leaves out the half of a line that a writer may have left last. */
static size_t whole_size_of_log(const struct kill_trial *trial)
{
    size_t size = 0;
    char *bytes = scratch_read(trial->path, "store.log", &size);
    while (size > 0 && bytes[size - 1] != '\n') {
        size--;
    }
    free(bytes);
    return size;
}

static void check_new_pair(struct kill_trial *trial,
                           const char *who,
                           const kvstore *store)
{
    kvstore_stats stats;
    if (kvstore_get_stats(store, &stats) != KVSTORE_OK ||
        stats.log_bytes != whole_size_of_log(trial)) {
        kill_trial_complain(trial, "%s does not see the new pair", who);
    }
}

void kill_witness_meet_new_pair(struct kill_trial *trial)
{
    if (strchr(trial->script, 'i') != NULL) {
        /* A handle whose index has lost its name cannot be notified. */
        trial->board->now_ns += MOMENT_NS;
    }
    check_new_pair(trial, "the reader", trial->reader);
    check_new_pair(trial, "the watcher", trial->watcher);
}

/* --- Busy --- */

static bool is_locked(const struct kill_trial *trial)
{
    int fd = open(trial->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
    (void)close(fd);
    return is_locked;
}

/* True if the holder is named, or none is and no more can be known: while there
 * is no index to sign, and when the lock is about to be free. */
static bool names_holder(const struct kill_trial *trial,
                         const char *message,
                         int pid)
{
    char text[48];
    (void)snprintf(text, sizeof text, "process %d has held the lock", pid);
    bool may_be_nobody = trial->operation->is_unsigned ||
                         strcmp(trial->board->last_call, "flock") == 0;
    return strstr(message, text) != NULL ||
           (may_be_nobody &&
            strstr(message, "another process holds the lock") != NULL);
}

static void expect_busy(struct kill_trial *trial,
                        const char *who,
                        kvstore *store,
                        int pid)
{
    int64_t begun_ns = trial->board->now_ns;
    kvstore_status status = kvstore_set(store, "robbed", 6, "yes", 3);
    int64_t waited_ns = trial->board->now_ns - begun_ns;
    if (status != KVSTORE_BUSY) {
        kill_trial_complain(trial, "%s is told %d, not busy", who, (int)status);
    } else if (!names_holder(trial, kvstore_last_error()->message, pid)) {
        kill_trial_complain(trial,
                            "%s is not told who (%d) has the lock: %s",
                            who,
                            pid,
                            kvstore_last_error()->message);
    }
    /* Times are rounded to milliseconds. */
    if (waited_ns < (trial->lock_timeout_ms - 1) * NS_PER_MS) {
        kill_trial_complain(
            trial, "%s waited only %lld ns", who, (long long)waited_ns);
    }
    check_wait(trial, who, begun_ns);
}

void kill_witness_meet_stopped(struct kill_trial *trial, int pid)
{
    if (is_locked(trial)) {
        expect_busy(trial, "the unsynced writer", trial->unsynced, pid);
        expect_busy(trial, "the durable writer", trial->durable, pid);
    }
    set_longest_wait(trial, trial->operation->is_prompt);
    kill_witness_go_on(trial, "rqop");
    set_longest_wait(trial, false);
}

/* --- The end --- */

/* Checks that live, stale, blank and damaged bytes make up the log, that
 * nothing is damaged, and that as many keys are there as have a value. */
static void check_stats(struct kill_trial *trial,
                        const char *who,
                        const char *path,
                        const kvstore *store)
{
    kvstore_stats stats;
    size_t size = 0;
    uint64_t keys = trial->bulk_count;
    for (size_t i = 0; i < trial->key_count; i++) {
        keys += trial->keys[i].value[0] != '\0' ? 1 : 0;
    }
    free(scratch_read(path, "store.log", &size));
    if (store == NULL || kvstore_get_stats(store, &stats) != KVSTORE_OK) {
        kill_trial_complain(trial, "%s has no counters", who);
        return;
    }
    uint64_t sum = stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                   stats.damaged_bytes;
    uint64_t damaged_max = trial->operation->may_be_damaged ? 1 : 0;
    if (sum != stats.log_bytes || sum != size ||
        stats.damaged_records > damaged_max || stats.keys != keys) {
        kill_trial_complain(trial,
                            "%s counts %llu of %zu bytes, %llu of %llu keys, "
                            "%llu damaged",
                            who,
                            (unsigned long long)sum,
                            size,
                            (unsigned long long)stats.keys,
                            (unsigned long long)keys,
                            (unsigned long long)stats.damaged_records);
    }
}

/* Everything in the store must follow from the log alone. */
static void check_log_alone(struct kill_trial *trial)
{
    size_t size = 0;
    kvstore *store = NULL;
    kvstore_options options = make_options(trial, KVSTORE_SYNC_ALWAYS);
    options.read_only = true;
    char *log = scratch_read(trial->path, "store.log", &size);
    scratch_empty(trial->alone);
    if (log != NULL) {
        scratch_write(trial->alone, "store.log", log, size);
    }
    free(log);
    if (kvstore_open(trial->alone, &options, &store) != KVSTORE_OK) {
        kill_trial_complain(trial,
                            "the log alone cannot be opened: %s",
                            kvstore_last_error()->message);
        return;
    }
    read_all(trial, "the log alone", true, store, 1);
    check_stats(trial, "the log alone", trial->alone, store);
    kvstore_close(store);
}

static void complain_of_leftover(void *context, const char *name)
{
    struct kill_trial *trial = context;
    bool is_cut = strncmp(name, "store.log.cut-", 14) == 0;
    if (strcmp(name, "store.log") != 0 && strcmp(name, "store.index") != 0 &&
        !(is_cut && trial->operation->leaves_cuts)) {
        kill_trial_complain(trial, "%s is left behind", name);
    }
}

/* A temporary index may be there until the next one is made. */
static void complain_of_temporary(void *context, const char *name)
{
    if (strstr(name, ".tmp") != NULL) {
        complain_of_leftover(context, name);
    }
}

/* Deletes the index under all the handles that have it open. */
static void check_without_index(struct kill_trial *trial, const char *order)
{
    kill_trial_delete_index(trial);
    kill_witness_go_on(trial, order);
    scratch_list(trial->path, complain_of_temporary, trial);
}

static void check_compaction(struct kill_trial *trial)
{
    bool is_durable = trial->serial % 2 == 0;
    kvstore *store = is_durable ? trial->durable : trial->unsynced;
    if (store != NULL && kvstore_compact(store) != KVSTORE_OK) {
        kill_trial_complain(
            trial, "cannot compact: %s", kvstore_last_error()->message);
    }
    trial->is_refused = false;
    scratch_list(trial->path, complain_of_leftover, trial);
}

void kill_witness_close_case(struct kill_trial *trial)
{
    if (trial->is_refused) {
        check_compaction(trial);
    }
    /* Each key is settled once a handle that may write the index has read
     * it. */
    kill_witness_go_on(trial, "ndorq");
    for (size_t i = 0; i < trial->key_count; i++) {
        trial->keys[i].may_change = false;
    }
    check_log_alone(trial);
    check_stats(trial, "the reader", trial->path, trial->reader);
    /* Both take time, so each death gets one, and the next death the other. */
    if ((trial->plan.n + trial->plan.moment) % 2 == 0) {
        check_without_index(trial,
                            trial->serial % 2 == 0 ? "nordrq" : "ornqdrp");
        check_stats(trial, "the durable writer", trial->path, trial->durable);
        return;
    }
    check_compaction(trial);
    kill_witness_go_on(trial, trial->serial % 2 == 0 ? "rnqdop" : "porqnd");
    read_all(trial, "the reader", false, trial->reader, 1);
    check_stats(trial, "the reader", trial->path, trial->reader);
    check_log_alone(trial);
}
