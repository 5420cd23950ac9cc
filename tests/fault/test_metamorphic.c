/* SPDX-License-Identifier: MIT */

/* Every way to one log leads to the same answers: a private index, the shared
 * one, one that has followed the log piece by piece, one built anew; and what a
 * compaction, a set or a repair has made of the log. Some thousand random logs,
 * sound and damaged, are the same in each run.
 *
 * test_fault_metamorphic [--seed N] [--first N] [--logs N]. For each relation
 * that does not hold, the smallest log that was found is printed, with the
 * number that makes it again. */

#include "any_status.h"
#include "configuration_set.h"
#include "idle_clock.h"
#include "kvstore.h"
#include "random_log.h"
#include "scratch.h"
#include "store_answers.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOG "store.log"
#define INDEX "store.index"
#define KINDS_MAX 40

static uint64_t seed = 1;
static uint64_t first_log;
static uint64_t log_count = 3000;

struct trial {
    const char *path;
    char *bytes; /* The log; owned. */
    size_t size;
    const struct random_log *log;
    struct store_answers wanted; /* From an index in private memory. */
    struct store_failure failure;
};

/* --- Opening, and what is in the directory --- */

enum manner { READ_ONLY, PLAIN, EXCLUSIVE };

static kvstore *open_store(struct trial *trial, enum manner manner)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    options.read_only = manner == READ_ONLY;
    options.exclusive = manner == EXCLUSIVE;
    if (kvstore_open(trial->path, &options, &store) != KVSTORE_OK) {
        (void)store_failure_set(
            &trial->failure, "open", "%s", kvstore_last_error()->message);
    }
    return store;
}

static void begin_anew(struct trial *trial)
{
    scratch_empty(trial->path);
    scratch_write(trial->path, LOG, trial->bytes, trial->size);
}

static void delete_index(const struct trial *trial)
{
    char name[SCRATCH_PATH_SIZE + 16];
    (void)snprintf(name, sizeof name, "%s/" INDEX, trial->path);
    (void)unlink(name);
}

static bool log_is(const struct trial *trial, const char *bytes, size_t size)
{
    size_t found_size = 0;
    char *found = scratch_read(trial->path, LOG, &found_size);
    bool is_same =
        found != NULL && found_size == size && memcmp(found, bytes, size) == 0;
    free(found);
    return is_same;
}

static bool is_good(const struct trial *trial)
{
    return trial->failure.relation[0] == '\0';
}

/* Opens, asks for everything, closes. */
static bool take(struct trial *trial,
                 enum manner manner,
                 const char *when,
                 struct store_answers *answers_out)
{
    kvstore *store = open_store(trial, manner);
    bool is_taken =
        store != NULL &&
        store_answers_take(store, when, answers_out, &trial->failure);
    kvstore_close(store);
    return is_taken;
}

/* Takes the answers of an index built anew, which must be the same. */
static void check_rebuilt(struct trial *trial,
                          const struct store_answers *wanted,
                          const char *relation)
{
    struct store_answers rebuilt;
    delete_index(trial);
    if (is_good(trial) && take(trial, PLAIN, relation, &rebuilt) &&
        store_answers_same_keys(wanted, &rebuilt, relation, &trial->failure)) {
        (void)store_answers_same_stats(
            wanted, &rebuilt, relation, &trial->failure);
    }
}

/* --- Damage is what it was --- */

/* Returns the bytes of all damaged places, one after the other; to be freed.
 * LFs are left out: a place that has none may get one. */
static char *gather_damage(const struct store_answers *answers,
                           const char *bytes,
                           size_t size,
                           size_t *size_out)
{
    char *gathered = checked_calloc(size + 1, 1);
    *size_out = 0;
    size_t count = answers->place_count < ANSWERS_PLACES ? answers->place_count
                                                         : ANSWERS_PLACES;
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = answers->places[i].offset;
        uint64_t end = offset + answers->places[i].length;
        for (; offset < end && offset < size; offset++) {
            gathered[*size_out] = bytes[offset];
            *size_out += bytes[offset] != '\n' ? 1 : 0;
        }
    }
    return gathered;
}

static void check_damage(struct trial *trial,
                         const struct store_answers *found,
                         const char *relation)
{
    size_t log_size = 0;
    size_t sizes[2] = {0, 0};
    char *log = scratch_read(trial->path, LOG, &log_size);
    char *before =
        gather_damage(&trial->wanted, trial->bytes, trial->size, &sizes[0]);
    char *after = gather_damage(found, log, log_size, &sizes[1]);
    if (trial->wanted.place_count != found->place_count) {
        (void)store_failure_set(&trial->failure,
                                relation,
                                "%zu damaged lines, not %zu",
                                found->place_count,
                                trial->wanted.place_count);
    } else if (sizes[0] != sizes[1] || memcmp(before, after, sizes[0]) != 0) {
        (void)store_failure_set(
            &trial->failure, relation, "other bytes are damage");
    }
    free(log);
    free(before);
    free(after);
}

/* --- The ways --- */

static void by_private_index(struct trial *trial)
{
    begin_anew(trial);
    (void)take(trial, READ_ONLY, "private", &trial->wanted);
    if (scratch_has(trial->path, INDEX)) {
        (void)store_failure_set(
            &trial->failure, "read-only makes no index", "it does");
    }
}

static void by_shared_index(struct trial *trial)
{
    static const char *const relations[] = {"shared = private",
                                            "trusted = private"};
    for (int i = 0; i < 2; i++) {
        struct store_answers found;
        if (!is_good(trial) || !take(trial, PLAIN, relations[i], &found)) {
            return;
        }
        (void)store_answers_same_keys(
            &trial->wanted, &found, relations[i], &trial->failure);
        (void)store_answers_same_stats(
            &trial->wanted, &found, relations[i], &trial->failure);
    }
    if (!log_is(trial, trial->bytes, trial->size)) {
        (void)store_failure_set(
            &trial->failure, "opening changes no byte", "it does");
    }
}

/* A record that lacks only its LF is a record already: nothing is added to
 * it. */
static bool may_stop_at(const struct trial *trial, size_t size)
{
    return size > 0 && (trial->bytes[size - 1] == '\n' ||
                        (size < trial->size && trial->bytes[size] != '\n' &&
                         strchr("} \t\r", trial->bytes[size - 1]) == NULL));
}

/* Adds the log in pieces, and now and then half a piece. */
static void by_following(struct trial *trial)
{
    static const char relation[] = "followed = private";
    size_t size = 0;
    uint64_t state = trial->size;
    scratch_empty(trial->path);
    for (size_t i = 0; i < 2 * trial->log->count && is_good(trial); i++) {
        size_t piece = trial->log->pieces[i / 2].size;
        size_t end = size + piece;
        if (i % 2 == 0) {
            end = size + (size_t)random_log_below(&state, piece + 1);
        } else {
            size = end;
        }
        if (!may_stop_at(trial, end)) {
            continue;
        }
        /* In place: a new file would be another file to the store. */
        char name[SCRATCH_PATH_SIZE + 16];
        (void)snprintf(name, sizeof name, "%s/" LOG, trial->path);
        FILE *file = fopen(name, "r+");
        file = file == NULL ? fopen(name, "w") : file;
        assert_non_null(file);
        assert_int_equal(fwrite(trial->bytes, 1, end, file), end);
        assert_int_equal(fclose(file), 0);
        kvstore *store = open_store(
            trial, random_log_below(&state, 4) == 0 ? READ_ONLY : PLAIN);
        kvstore_stats stats;
        (void)kvstore_get_stats(store, &stats);
        kvstore_close(store);
    }
    struct store_answers found;
    scratch_write(trial->path, LOG, trial->bytes, trial->size);
    if (is_good(trial) && take(trial, PLAIN, relation, &found) &&
        store_answers_same_keys(
            &trial->wanted, &found, relation, &trial->failure)) {
        (void)store_answers_same_stats(
            &trial->wanted, &found, relation, &trial->failure);
    }
}

/* --- What is made of it --- */

/* Records of a newer version make the store refuse all changes, and nothing is
 * changed. */
static bool is_refused(struct trial *trial,
                       kvstore_status status,
                       const char *relation)
{
    if (trial->wanted.stats.unknown_records == 0) {
        if (status != KVSTORE_OK) {
            (void)store_failure_set(&trial->failure,
                                    relation,
                                    "%s: %s",
                                    kvstore_strerror(status),
                                    kvstore_last_error()->message);
        }
        return status != KVSTORE_OK;
    }
    if (status != KVSTORE_UNSUPPORTED) {
        (void)store_failure_set(&trial->failure,
                                "unknown records make it read-only",
                                "%s: %s",
                                relation,
                                kvstore_strerror(status));
    }
    if (!log_is(trial, trial->bytes, trial->size)) {
        (void)store_failure_set(&trial->failure,
                                "unknown records make it read-only",
                                "%s: the log has changed",
                                relation);
    }
    return true;
}

static void check_compact_log(struct trial *trial,
                              const struct store_answers *found)
{
    const kvstore_stats *stats = &found->stats;
    if (stats->damaged_records == 0 && stats->log_bytes != stats->live_bytes) {
        (void)store_failure_set(&trial->failure,
                                "a compact log is live",
                                "%llu of %llu bytes are",
                                (unsigned long long)stats->live_bytes,
                                (unsigned long long)stats->log_bytes);
    }
}

static void compact_twice(struct trial *trial)
{
    struct store_answers found;
    size_t size = 0;
    begin_anew(trial);
    kvstore *store = open_store(trial, PLAIN);
    if (is_refused(trial, kvstore_compact(store), "compact")) {
        kvstore_close(store);
        return;
    }
    (void)store_answers_take(store, "compacted", &found, &trial->failure);
    (void)store_answers_same_keys(
        &trial->wanted, &found, "compacted = before", &trial->failure);
    if (is_good(trial)) {
        check_damage(trial, &found, "damage before = damage after compaction");
        check_compact_log(trial, &found);
    }
    char *once = scratch_read(trial->path, LOG, &size);
    if (is_good(trial) &&
        (kvstore_compact(store) != KVSTORE_OK || !log_is(trial, once, size))) {
        (void)store_failure_set(
            &trial->failure, "compacted twice = once", "not");
    }
    free(once);
    kvstore_close(store);
    check_rebuilt(trial, &found, "compacted, rebuilt = compacted");
}

static void set_one(struct trial *trial, enum manner manner)
{
    const char *relation =
        manner == EXCLUSIVE ? "set, exclusive = before" : "set = before";
    struct store_answers found;
    begin_anew(trial);
    kvstore *store = open_store(trial, manner);
    kvstore_status status = store == NULL
                                ? kvstore_last_error()->status
                                : kvstore_set(store, "new", 3, "value", 5);
    if (is_refused(trial, status, relation)) {
        kvstore_close(store);
        return;
    }
    any_status(kvstore_set(store, "new", 3, "value", 5));
    (void)store_answers_take(store, relation, &found, &trial->failure);
    (void)store_answers_same_keys(
        &trial->wanted, &found, relation, &trial->failure);
    if (is_good(trial)) {
        check_damage(trial, &found, "damage before = damage after a set");
    }
    kvstore_close(store);
    check_rebuilt(trial, &found, "set, rebuilt = set");
}

static void remove_all(struct trial *trial)
{
    struct store_answers found;
    begin_anew(trial);
    kvstore *store = open_store(trial, PLAIN);
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        const char *key = random_log_keys[i];
        kvstore_status status = kvstore_remove(store, key, strlen(key));
        bool is_there = trial->wanted.keys[i].status != KVSTORE_NOT_FOUND;
        if (trial->wanted.stats.unknown_records == 0 &&
            status != (is_there ? KVSTORE_OK : KVSTORE_NOT_FOUND)) {
            (void)store_failure_set(&trial->failure,
                                    "remove finds what get finds",
                                    "'%s': %s",
                                    key,
                                    kvstore_strerror(status));
        }
    }
    if (trial->wanted.stats.unknown_records == 0 && is_good(trial) &&
        kvstore_compact(store) != KVSTORE_OK) {
        (void)store_failure_set(&trial->failure,
                                "removed and compacted",
                                "%s",
                                kvstore_last_error()->message);
    }
    kvstore_close(store);
    delete_index(trial);
    if (trial->wanted.stats.unknown_records > 0 || !is_good(trial) ||
        !take(trial, PLAIN, "removed", &found)) {
        return;
    }
    const struct store_answers none = {.keys = {{KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""},
                                                {KVSTORE_NOT_FOUND, 0, 0, ""}}};
    (void)store_answers_same_keys(
        &none, &found, "removed, compacted, rebuilt = none", &trial->failure);
    check_damage(trial, &found, "damage before = damage after removes");
}

/* --- Repair --- */

struct moved {
    struct trial *trial;
    size_t size;
};

/* Checks that the file has the bytes that were there. (Offsets are those of the
 * log as the repair found it, a torn tail cut off.) */
static bool visit_moved(void *context, const kvstore_damage *damage)
{
    struct moved *moved = context;
    struct trial *trial = moved->trial;
    size_t size = 0;
    char *bytes = damage->file != NULL
                      ? scratch_read(trial->path, damage->file, &size)
                      : NULL;
    size_t room =
        damage->offset < trial->size ? trial->size - (size_t)damage->offset : 0;
    size_t common = size < room ? size : room;
    if (bytes == NULL || size != damage->length ||
        memcmp(bytes, trial->bytes + damage->offset, common) != 0) {
        (void)store_failure_set(&trial->failure,
                                "repair moves bytes as they are",
                                "not those at %llu",
                                (unsigned long long)damage->offset);
    }
    moved->size += size;
    free(bytes);
    return true;
}

/* What was sound is as it was; what was damaged has an older value or none. */
static void check_repaired_keys(struct trial *trial,
                                const struct store_answers *found)
{
    struct store_answers wanted = trial->wanted;
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        if (wanted.keys[i].status == KVSTORE_CORRUPT &&
            found->keys[i].status != KVSTORE_CORRUPT) {
            wanted.keys[i] = found->keys[i];
        }
    }
    (void)store_answers_same_keys(
        &wanted, found, "repaired = sound before", &trial->failure);
}

static void repair_all(struct trial *trial)
{
    struct store_answers found;
    struct moved moved = {.trial = trial};
    begin_anew(trial);
    kvstore *store = open_store(trial, PLAIN);
    kvstore_status status = kvstore_repair(store, visit_moved, &moved);
    if (is_refused(trial, status, "repair")) {
        kvstore_close(store);
        return;
    }
    (void)store_answers_take(store, "repaired", &found, &trial->failure);
    if (is_good(trial)) {
        check_repaired_keys(trial, &found);
    }
    if (is_good(trial) && (found.place_count > 0 ||
                           moved.size < trial->wanted.stats.damaged_bytes)) {
        (void)store_failure_set(
            &trial->failure,
            "repair leaves no damage",
            "%zu lines; %zu of %llu bytes moved",
            found.place_count,
            moved.size,
            (unsigned long long)trial->wanted.stats.damaged_bytes);
    }
    kvstore_close(store);
    check_rebuilt(trial, &found, "repaired, rebuilt = repaired");
}

/* --- One log --- */

static void set_shared(struct trial *trial)
{
    set_one(trial, PLAIN);
}

static void set_exclusive(struct trial *trial)
{
    set_one(trial, EXCLUSIVE);
}

typedef void way(struct trial *trial);
static way *const ways[] = {by_shared_index,
                            by_following,
                            compact_twice,
                            set_shared,
                            set_exclusive,
                            remove_all,
                            repair_all};
#define WAYS (sizeof ways / sizeof ways[0])

/* Tries one of the ways; the private index comes first in any. */
static void try_log(const char *path,
                    const struct random_log *log,
                    size_t number,
                    struct store_failure *failure_out)
{
    struct trial trial = {.path = path,
                          .bytes = random_log_join(log),
                          .size = log->size,
                          .log = log};
    by_private_index(&trial);
    if (is_good(&trial)) {
        ways[number](&trial);
    }
    free(trial.bytes);
    *failure_out = trial.failure;
}

/* Drops pieces as long as the same relation still fails. */
static void make_small(const char *path,
                       struct random_log *log,
                       size_t number,
                       struct store_failure *failure)
{
    size_t piece = 0;
    while (piece < log->count) {
        struct random_log smaller;
        struct store_failure found;
        random_log_without(log, piece, &smaller);
        try_log(path, &smaller, number, &found);
        if (strcmp(found.relation, failure->relation) == 0) {
            random_log_release(log);
            *log = smaller;
            *failure = found;
            piece = 0;
        } else {
            random_log_release(&smaller);
            piece++;
        }
    }
}

/* --- All of them --- */

struct kind {
    struct store_failure failure;
    struct random_log log;
    uint64_t number;
    uint64_t count;
};

static struct kind kinds[KINDS_MAX];
static size_t kind_count;
static uint64_t number_now;
static char number_text[96]; /* Printed if it is the last one. */

static void keep(const char *path,
                 struct random_log *log,
                 size_t way_number,
                 struct store_failure *failure)
{
    size_t i = 0;
    while (i < kind_count &&
           strcmp(kinds[i].failure.relation, failure->relation) != 0) {
        i++;
    }
    if (i == KINDS_MAX) {
        return;
    }
    kinds[i].count++;
    if (i == kind_count) {
        kind_count++;
    } else if (kinds[i].count > 20) {
        return;
    }
    struct random_log copy;
    random_log_without(log, SIZE_MAX, &copy);
    make_small(path, &copy, way_number, failure);
    if (kinds[i].count == 1 || copy.size < kinds[i].log.size) {
        random_log_release(&kinds[i].log);
        kinds[i].failure = *failure;
        kinds[i].log = copy;
        kinds[i].number = number_now;
    } else {
        random_log_release(&copy);
    }
}

static void print_kinds(void)
{
    for (size_t i = 0; i < kind_count; i++) {
        (void)fprintf(stderr,
                      "%llu times: %s\n  %s\n  --seed %llu --first %llu "
                      "--logs 1, made smaller:\n",
                      (unsigned long long)kinds[i].count,
                      kinds[i].failure.relation,
                      kinds[i].failure.detail,
                      (unsigned long long)seed,
                      (unsigned long long)kinds[i].number);
        random_log_print(stderr, &kinds[i].log);
        random_log_release(&kinds[i].log);
    }
}

/* Prints the number of the log at which an assertion failed. */
static void tell_number(int signal_number)
{
    (void)!write(STDERR_FILENO, number_text, strlen(number_text));
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void note_number(uint64_t number)
{
    number_now = number;
    (void)snprintf(number_text,
                   sizeof number_text,
                   "died of log --seed %llu --first %llu --logs 1\n",
                   (unsigned long long)seed,
                   (unsigned long long)number);
}

static void try_all_ways(const char *path, struct random_log *log)
{
    for (size_t way_number = 0; way_number < WAYS; way_number++) {
        struct store_failure failure;
        try_log(path, log, way_number, &failure);
        if (failure.relation[0] != '\0') {
            keep(path, log, way_number, &failure);
        }
    }
}

static void all_ways_come_to_the_same_answers(void **state)
{
    char path[SCRATCH_PATH_SIZE];
    (void)state;
    scratch_make(path);
    (void)signal(SIGABRT, tell_number);
    (void)signal(SIGSEGV, tell_number);
    (void)signal(SIGBUS, tell_number);
    idle_clock_start();

    for (uint64_t i = 0; i < log_count; i++) {
        struct random_log log;
        note_number(first_log + i);
        random_log_make(&log, seed * UINT64_C(1000003) + number_now);
        try_all_ways(path, &log);
        random_log_release(&log);
    }

    idle_clock_stop();
    scratch_remove(path);
    print_kinds();
    (void)printf("%llu logs\n", (unsigned long long)log_count);
    assert_int_equal(kind_count, 0);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_come_to_the_same_answers),
    };
    for (int i = 1; i + 1 < count; i += 2) {
        uint64_t number = strtoull(words[i + 1], NULL, 10);
        if (strcmp(words[i], "--seed") == 0) {
            seed = number;
        } else if (strcmp(words[i], "--first") == 0) {
            first_log = number;
        } else if (strcmp(words[i], "--logs") == 0) {
            log_count = number;
        }
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
