/* SPDX-License-Identifier: MIT */

/* One fault in one workload: the calls, the oracle, the judgement. */

#include "fault_trial.h"

#include "os/error.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define COMPLAINTS_SHOWN 40

void trial_complain(struct trial *trial, const char *format, ...)
{
    static unsigned shown;
    trial->complaints++;
    if (shown++ >= COMPLAINTS_SHOWN) {
        return;
    }
    (void)fprintf(stderr,
                  "%s, %s at %llu%s: ",
                  trial->workload->name,
                  trial->kind == NULL ? "no fault" : trial->kind->name,
                  (unsigned long long)trial->n,
                  trial->is_for_good ? " for good" : "");
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

/* --- The oracle --- */

static struct trial_key *find_key(struct trial *trial, const char *key)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        if (strcmp(trial->keys[i].key, key) == 0) {
            return &trial->keys[i];
        }
    }
    if (trial->key_count == TRIAL_KEYS_MAX) {
        scratch_die("too many keys in a trial");
    }
    struct trial_key *added = &trial->keys[trial->key_count++];
    *added = (struct trial_key){.key = key, .value_count = 1};
    return added;
}

/* The key certainly holds this. */
void trial_expect(struct trial *trial, const char *key, const char *value)
{
    struct trial_key *entry = find_key(trial, key);
    entry->values[0] = value;
    entry->value_count = 1;
}

/* The key may hold this from now on. */
static void allow(struct trial *trial, const char *key, const char *value)
{
    struct trial_key *entry = find_key(trial, key);
    if (entry->value_count == TRIAL_VALUES_MAX) {
        scratch_die("too many values in a trial");
    }
    entry->values[entry->value_count++] = value;
}

/* A value was seen: it must be allowed, and stays. */
static void see(struct trial *trial, const char *key, const char *value)
{
    struct trial_key *entry = find_key(trial, key);
    for (size_t i = 0; i < entry->value_count; i++) {
        const char *allowed = entry->values[i];
        bool is_same = allowed == NULL || value == NULL
                           ? allowed == value
                           : strcmp(allowed, value) == 0;
        if (is_same) {
            trial_expect(trial, key, allowed);
            return;
        }
    }
    trial_complain(trial,
                   "'%s' is '%.20s', not '%.20s'",
                   key,
                   value == NULL ? "(none)" : value,
                   entry->values[0] == NULL ? "(none)" : entry->values[0]);
}

/* --- Judging a call --- */

struct before {
    uint64_t fired;
    uint64_t no_memory;
};

static struct before begin_call(void)
{
    return (struct before){.fired = fault_table_fired(),
                           .no_memory =
                               fault_table_fired_at(FAULT_MALLOC) +
                               fault_table_fired_at(FAULT_CJSON_MALLOC)};
}

static bool is_failure(kvstore_status status)
{
    return status != KVSTORE_OK && status != KVSTORE_NOT_FOUND;
}

/* Checks that the error names the fault that was met. */
static void check_reason(struct trial *trial,
                         const char *call,
                         kvstore_status status,
                         bool lacked_memory)
{
    const kvstore_error *error = kvstore_last_error();
    bool is_lack = status == KVSTORE_NO_MEMORY && lacked_memory;
    bool is_failed_call =
        (status == KVSTORE_IO || status == KVSTORE_COMPACTION_FAILED) &&
        error->system_errno == trial->kind->error;
    /* What was done but reported as failed shows later, as something else. */
    bool is_consequence = trial->kind->effect == FAULT_DONE &&
                          (status == KVSTORE_IO || status == KVSTORE_BUSY ||
                           status == KVSTORE_COMPACTION_FAILED);
    if (!is_lack && !is_failed_call && !is_consequence) {
        trial_complain(trial,
                       "%s gave %d, errno %d: %s",
                       call,
                       (int)status,
                       error->system_errno,
                       error->message);
    }
}

/* Judges how a call ended; true if it did what was asked. */
static bool end_call(struct trial *trial,
                     const char *call,
                     struct before before,
                     kvstore_status status)
{
    bool met_fault = fault_table_fired() != before.fired;
    bool lacked_memory = fault_table_fired_at(FAULT_MALLOC) +
                             fault_table_fired_at(FAULT_CJSON_MALLOC) !=
                         before.no_memory;
    uint64_t syncs_fired = fault_table_fired_at(FAULT_FDATASYNC);
    bool met_failed_sync = syncs_fired != trial->syncs_fired;
    trial->syncs_fired = syncs_fired;
    const kvstore_error *error = kvstore_last_error();
    if (is_failure(status) &&
        (error->status != status || error->message[0] == '\0')) {
        trial_complain(trial, "%s failed and set no error", call);
    }
    bool may_be_refused =
        trial->is_sync_lost || fault_table_fired_at(FAULT_FSYNC) > 0;
    bool is_read = strncmp(call, "get", 3) == 0 || strcmp(call, "stats") == 0;
    if (is_failure(status) && met_fault) {
        check_reason(trial, call, status, lacked_memory);
    } else if (is_failure(status) && (is_read || !may_be_refused)) {
        trial_complain(trial,
                       "%s failed by itself: %d, %s",
                       call,
                       (int)status,
                       error->message);
    }
    /* An open goes on for reading only, and the next write is refused. */
    bool is_open = strncmp(call, "open", 4) == 0;
    if (met_failed_sync && !is_failure(status) && !is_open) {
        trial_complain(trial, "%s does not tell of a failed sync", call);
    }
    trial->is_sync_lost |= met_failed_sync;
    return !is_failure(status);
}

/* --- The calls --- */

bool trial_open(struct trial *trial, const kvstore_options *options)
{
    struct before before = begin_call();
    trial->is_sync_lost = false;
    kvstore_status status = kvstore_open(trial->path, options, &trial->store);
    if ((trial->store != NULL) != (status == KVSTORE_OK)) {
        trial_complain(trial, "open gave %d and a handle", (int)status);
    }
    trial->is_sync_lost = false;
    return end_call(trial, "open", before, status);
}

void trial_set(struct trial *trial, const char *key, const char *value)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status =
        kvstore_set(trial->store, key, strlen(key), value, strlen(value));
    if (end_call(trial, "set", before, status)) {
        trial_expect(trial, key, value);
    } else {
        allow(trial, key, value);
    }
}

void trial_remove(struct trial *trial, const char *key)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status = kvstore_remove(trial->store, key, strlen(key));
    if (!end_call(trial, "remove", before, status)) {
        allow(trial, key, NULL);
    } else if (status == KVSTORE_NOT_FOUND) {
        see(trial, key, NULL);
    } else {
        trial_expect(trial, key, NULL);
    }
}

void trial_increment(struct trial *trial, const char *key, const char *sum)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status =
        kvstore_increment(trial->store, key, strlen(key), 1, 0, NULL);
    if (end_call(trial, "increment", before, status)) {
        trial_expect(trial, key, sum);
    } else {
        allow(trial, key, sum);
    }
}

static const struct {
    const char *key;
    const char *value;
} batch_changes[] = {{"a", "batch"}, {"b", NULL}, {"new", "batch"}};
#define BATCH_CHANGES (sizeof batch_changes / sizeof batch_changes[0])

static kvstore_status write_batch(struct trial *trial)
{
    kvstore_batch *batch = NULL;
    kvstore_status status = kvstore_batch_create(&batch);
    for (size_t i = 0; i < BATCH_CHANGES && status == KVSTORE_OK; i++) {
        const char *key = batch_changes[i].key;
        const char *value = batch_changes[i].value;
        status = value == NULL
                     ? kvstore_batch_remove(batch, key, strlen(key))
                     : kvstore_batch_set(
                           batch, key, strlen(key), value, strlen(value), 0);
    }
    if (status == KVSTORE_OK) {
        status =
            kvstore_batch_require(batch, "a", 1, KVSTORE_IF_PRESENT, NULL, 0);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(trial->store, batch);
    }
    kvstore_batch_free(batch);
    return status;
}

void trial_write(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status = write_batch(trial);
    bool is_done = end_call(trial, "write", before, status);
    trial->has_batch = true;
    for (size_t i = 0; i < BATCH_CHANGES; i++) {
        if (is_done) {
            trial_expect(trial, batch_changes[i].key, batch_changes[i].value);
        } else {
            allow(trial, batch_changes[i].key, batch_changes[i].value);
        }
    }
}

/* After all keys have been seen: all of the batch is there, or nothing. */
static void check_batch(struct trial *trial)
{
    size_t made = 0;
    for (size_t i = 0; i < BATCH_CHANGES; i++) {
        const struct trial_key *key = find_key(trial, batch_changes[i].key);
        const char *value = batch_changes[i].value;
        made += value == NULL ? key->values[0] == NULL
                              : key->values[0] != NULL &&
                                    strcmp(key->values[0], value) == 0;
    }
    if (made != 0 && made != BATCH_CHANGES) {
        trial_complain(trial, "%zu of a batch's changes are there", made);
    }
}

void trial_get(struct trial *trial, const char *key)
{
    if (trial->store == NULL) {
        return;
    }
    void *value = NULL;
    size_t size = 0;
    struct before before = begin_call();
    kvstore_status status =
        kvstore_get(trial->store, key, strlen(key), &value, &size);
    if (end_call(trial, "get", before, status)) {
        see(trial, key, value);
    } else if (value != NULL || size != 0) {
        trial_complain(trial, "a failed get gave a value");
    }
    kvstore_free(value);
}

void trial_get_into(struct trial *trial, const char *key)
{
    static char buffer[8192];
    if (trial->store == NULL) {
        return;
    }
    size_t size = 0;
    struct before before = begin_call();
    kvstore_status status = kvstore_get_into(
        trial->store, key, strlen(key), buffer, sizeof buffer - 1, &size);
    if (end_call(trial, "get_into", before, status)) {
        buffer[size] = '\0';
        see(trial, key, status == KVSTORE_OK ? buffer : NULL);
    }
}

void trial_compact(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status = kvstore_compact(trial->store);
    if (end_call(trial, "compact", before, status)) {
        trial->is_sync_lost = false;
    }
}

struct listed {
    struct trial *trial;
    char earlier[16];
    bool is_listed[TRIAL_KEYS_MAX];
};

static bool see_listed(void *context, const void *key, size_t key_size)
{
    struct listed *listed = context;
    struct trial *trial = listed->trial;
    char text[sizeof listed->earlier] = {0};
    memcpy(text, key, key_size < sizeof text ? key_size : sizeof text - 1);
    if (strcmp(listed->earlier, text) >= 0) {
        trial_complain(trial, "'%s' is listed out of order", text);
    }
    memcpy(listed->earlier, text, sizeof text);
    for (size_t i = 0; i < trial->key_count; i++) {
        listed->is_listed[i] |= strcmp(trial->keys[i].key, text) == 0;
    }
    return true;
}

static bool may_be(const struct trial_key *key, bool is_there)
{
    for (size_t i = 0; i < key->value_count; i++) {
        if ((key->values[i] != NULL) == is_there) {
            return true;
        }
    }
    return false;
}

/* Checks that the keys that hold a value are listed, and no others. */
void trial_list(struct trial *trial)
{
    struct listed listed = {.trial = trial};
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status =
        kvstore_list(trial->store, NULL, 0, see_listed, &listed);
    if (!end_call(trial, "get (list)", before, status)) {
        if (listed.earlier[0] != '\0') {
            trial_complain(trial, "a list that failed told of a key");
        }
        return;
    }
    for (size_t i = 0; i < trial->key_count; i++) {
        if (!may_be(&trial->keys[i], listed.is_listed[i])) {
            trial_complain(trial,
                           "'%s' is %slisted",
                           trial->keys[i].key,
                           listed.is_listed[i] ? "" : "not ");
        }
    }
}

static void note_entry(const struct trial *trial,
                       const kvstore_entry *entry,
                       char values[TRIAL_KEYS_MAX][8192])
{
    for (size_t i = 0; i < trial->key_count; i++) {
        const char *key = trial->keys[i].key;
        if (entry->status == KVSTORE_OK && strlen(key) == entry->key_size &&
            memcmp(key, entry->key, entry->key_size) == 0 &&
            entry->value_size < sizeof values[i]) {
            memcpy(values[i], entry->value, entry->value_size + 1);
        }
    }
}

/* Notes what an iterator gives: of each key the value, if there is one. */
static kvstore_status go_through(const struct trial *trial,
                                 char values[TRIAL_KEYS_MAX][8192])
{
    kvstore_iterator *iterator = NULL;
    const kvstore_entry *entry = NULL;
    kvstore_status status =
        kvstore_iterator_create(trial->store, NULL, &iterator);
    while (status == KVSTORE_OK) {
        status = kvstore_iterator_next(iterator, &entry);
        if (status == KVSTORE_OK) {
            note_entry(trial, entry, values);
        }
    }
    kvstore_iterator_free(iterator);
    return status;
}

/* Checks what an iterator that gets to its end gives of each key. */
void trial_iterate(struct trial *trial)
{
    static char values[TRIAL_KEYS_MAX][8192];
    if (trial->store == NULL) {
        return;
    }
    for (size_t i = 0; i < TRIAL_KEYS_MAX; i++) {
        (void)strcpy(values[i], "\x01");
    }
    struct before before = begin_call();
    kvstore_status status = go_through(trial, values);
    if (!end_call(trial, "get (iterate)", before, status)) {
        return;
    }
    for (size_t i = 0; i < trial->key_count; i++) {
        bool is_there = values[i][0] != '\x01';
        see(trial, trial->keys[i].key, is_there ? values[i] : NULL);
    }
}

/* Damage is an answer, too, and must be reported in the right place. */
void trial_verify(struct trial *trial, bool is_damaged)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status = kvstore_verify(trial->store, NULL, NULL);
    bool is_answer =
        status == KVSTORE_OK ||
        (status == KVSTORE_CORRUPT && kvstore_last_error()->system_errno == 0);
    if (is_answer && (status == KVSTORE_CORRUPT) != is_damaged) {
        trial_complain(
            trial, "verify says %d: %s", status, kvstore_last_error()->message);
    }
    (void)end_call(
        trial, "get (verify)", before, is_answer ? KVSTORE_OK : status);
}

void trial_repair(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct before before = begin_call();
    kvstore_status status = kvstore_repair(trial->store, NULL, NULL);
    if (end_call(trial, "repair", before, status)) {
        kvstore_stats stats;
        trial->is_sync_lost = false;
        if (kvstore_get_stats(trial->store, &stats) == KVSTORE_OK &&
            stats.damaged_records > 0) {
            trial_complain(trial, "damage is left");
        }
    }
}

void trial_sync(struct trial *trial)
{
    if (trial->store != NULL) {
        struct before before = begin_call();
        (void)end_call(trial, "sync", before, kvstore_sync(trial->store));
    }
}

void trial_stats(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    kvstore_stats stats;
    struct before before = begin_call();
    kvstore_status status = kvstore_get_stats(trial->store, &stats);
    if (!end_call(trial, "stats", before, status)) {
        return;
    }
    if (stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
            stats.damaged_bytes !=
        stats.log_bytes) {
        trial_complain(trial, "the bytes do not add up");
    }
}

void trial_close(struct trial *trial)
{
    kvstore_close(trial->store);
    trial->store = NULL;
}

/* --- Preparing --- */

void trial_log(struct trial *trial, const char *text)
{
    scratch_empty(trial->path);
    scratch_write(trial->path, "store.log", text, strlen(text));
}

void trial_arm(struct trial *trial)
{
    free(trial->log);
    trial->log = scratch_read(trial->path, "store.log", &trial->log_size);
    if (trial->log_size > trial->workload->kept_size) {
        trial->log_size = trial->workload->kept_size;
    }
    fault_table_plan(trial->kind, trial->n, trial->is_for_good);
}

/* --- After the workload --- */

static void check_values(struct trial *trial)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        trial_get(trial, trial->keys[i].key);
    }
    if (trial->has_batch) {
        check_batch(trial);
    }
    trial_stats(trial);
}

static void check_set(struct trial *trial, const char *value)
{
    size_t size = strlen(value);
    kvstore_status status = kvstore_set(trial->store, "after", 5, value, size);
    if (status == KVSTORE_IO &&
        strstr(kvstore_last_error()->message, "a sync of") != NULL &&
        kvstore_compact(trial->store) == KVSTORE_OK) {
        /* The index remembers the failure for all processes. */
        status = kvstore_set(trial->store, "after", 5, value, size);
    }
    if (status != KVSTORE_OK) {
        trial_complain(
            trial, "the next set: %s", kvstore_last_error()->message);
        return;
    }
    trial_expect(trial, "after", value);
    trial_get(trial, "after");
}

/* Checks the handle that met the fault, once the fault is over. */
static void check_handle(struct trial *trial, bool directory_sync_failed)
{
    uint64_t syncs = fault_table_calls(FAULT_FDATASYNC);
    check_values(trial);
    if (trial->is_sync_lost || directory_sync_failed) {
        kvstore_status status =
            kvstore_set(trial->store, "after", 5, "refused", 7);
        if (status == KVSTORE_OK && !trial->is_sync_lost) {
            trial_expect(trial, "after", "refused");
        } else if (status != KVSTORE_IO) {
            trial_complain(trial, "a set after a failed sync: %d", status);
        }
    }
    if (trial->is_sync_lost) {
        if (kvstore_sync(trial->store) != KVSTORE_IO) {
            trial_complain(trial, "a sync after a failed sync was no failure");
        }
        if (fault_table_calls(FAULT_FDATASYNC) != syncs) {
            trial_complain(trial, "a failed sync was tried again");
        }
    }
    if (trial->is_sync_lost || directory_sync_failed) {
        trial_compact(trial);
    }
    check_set(trial, "same handle");
    check_values(trial);
}

static void check_leaks(struct trial *trial)
{
    if (fault_table_open_files() != 0) {
        trial_complain(
            trial, "%d descriptors are open", fault_table_open_files());
    }
    if (fault_table_allocations() != 0) {
        trial_complain(trial,
                       "%lld allocations are left",
                       (long long)fault_table_allocations());
    }
    if (fault_table_misuses() != 0) {
        trial_complain(trial, "closed or freed what was not its own");
    }
    if (kv_error_is_held()) {
        trial_complain(trial, "an error is held that nobody releases");
    }
}

static void check_lock(struct trial *trial)
{
    int fd = open(trial->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return; /* The directory was never made. */
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        trial_complain(trial, "the lock is still held");
    }
    (void)close(fd);
}

static void check_name(void *context, const char *name)
{
    struct trial *trial = context;
    bool is_known =
        strcmp(name, "store.log") == 0 || strcmp(name, "store.index") == 0;
    bool is_leftover = strcmp(name, "store.log.compact") == 0 ||
                       strncmp(name, "store.index.", 12) == 0;
    bool is_cut = strncmp(name, "store.log.cut-", 14) == 0;
    if (!is_known && !is_leftover &&
        !(is_cut && trial->workload->leaves_cuts)) {
        trial_complain(trial, "%s was left behind", name);
    }
}

/* The file may be left only where it could not be removed, or recognised as
 * ours. */
static void check_leftover(struct trial *trial)
{
    bool is_excused = fault_table_fired_at(FAULT_UNLINKAT) > 0 ||
                      fault_table_fired_at(FAULT_FLOCK) > 0 ||
                      fault_table_fired_at(FAULT_FSTAT) > 0 ||
                      fault_table_fired_at(FAULT_FSTATAT) > 0 ||
                      fault_table_fired_at(FAULT_OPENAT) > 0;
    if (!is_excused && scratch_has(trial->path, "store.log.compact")) {
        trial_complain(trial, "store.log.compact was left behind");
    }
}

static void check_prefix(struct trial *trial)
{
    size_t size = 0;
    char *log = scratch_read(trial->path, "store.log", &size);
    if (trial->log_size > 0 &&
        (size < trial->log_size ||
         memcmp(log, trial->log, trial->log_size) != 0)) {
        trial_complain(trial, "bytes of the log were cut or changed");
    }
    free(log);
}

/* Opens a new handle: everything acknowledged is there, and nothing else. */
static void check_reopened(struct trial *trial)
{
    if (!trial_open(trial, NULL)) {
        return;
    }
    check_values(trial);
    check_set(trial, "new handle");
    trial_compact(trial);
    check_values(trial);
    trial_close(trial);
    if (scratch_has(trial->path, "store.log.compact")) {
        trial_complain(trial, "a compaction left its file behind");
    }
    scratch_list(trial->path, check_name, trial);
}

static void judge(struct trial *trial)
{
    bool directory_sync_failed = fault_table_fired_at(FAULT_FSYNC) > 0;
    check_leftover(trial);
    check_prefix(trial);
    fault_table_plan(NULL, 0, false);
    trial->syncs_fired = 0;
    if (trial->store != NULL) {
        check_handle(trial, directory_sync_failed);
        trial_close(trial);
    }
    check_leaks(trial);
    check_lock(trial);
    check_reopened(trial);
    check_leaks(trial);
}

/* Runs one trial; true if its fault was met. */
static bool run(struct trial *trial)
{
    fault_table_install();
    scratch_remove(trial->path);
    trial->workload->prepare(trial);
    trial->workload->act(trial);
    bool is_met = fault_table_fired() > 0;
    judge(trial);
    free(trial->log);
    fault_table_uninstall();
    return is_met;
}

uint64_t trial_run_all(const struct trial_workload *workload,
                       const struct fault_kind *kinds,
                       size_t kind_count,
                       unsigned *complaints)
{
    char root[SCRATCH_PATH_SIZE];
    uint64_t met = 0;
    scratch_make(root);
    for (size_t i = 0; i < 2 * kind_count; i++) {
        const struct fault_kind *kind = &kinds[i / 2];
        bool is_met = i % 2 == 0 || kind->may_repeat;
        for (uint64_t n = 1; is_met; n++) {
            struct trial trial = {.workload = workload,
                                  .kind = kind,
                                  .n = n,
                                  .is_for_good = i % 2 == 1};
            (void)snprintf(trial.path, sizeof trial.path, "%s/store", root);
            is_met = run(&trial);
            met += is_met ? 1 : 0;
            *complaints += trial.complaints;
        }
    }
    scratch_remove(root);
    return met;
}
