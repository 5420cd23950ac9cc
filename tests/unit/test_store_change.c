/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: conditions, expiry,
 * numbers and batches. */

#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log_text.h"
#include "os/system.h"
#include "store/handle.h"
#include "store_calls.h"
#include "store_dir.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define S(text) (text), strlen(text)

/* --- A clock --- */

static struct {
    struct kv_io_table table;
    int64_t now_ms;
    kvstore *other; /* NULL: nothing happens beside. */
} world;

static int64_t told_clock(void)
{
    return world.now_ms;
}

static int enter_world(void **state)
{
    world.now_ms = 1000000;
    world.other = NULL;
    world.table = *kv_io_system_table();
    world.table.clock_real_ms = told_clock;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int leave_world(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define WORLD_TEST(test) \
    cmocka_unit_test_setup_teardown(test, enter_world, leave_world)

/* --- Calls --- */

static kvstore_status set_if(kvstore *store,
                             const char *key,
                             const char *value,
                             int condition,
                             const char *expected,
                             int64_t expires_ms)
{
    kvstore_set_options options = {.size = sizeof options,
                                   .condition = condition,
                                   .expected = expected,
                                   .expected_size =
                                       expected == NULL ? 0 : strlen(expected),
                                   .expires_ms = expires_ms};
    return kvstore_set_with(store, S(key), S(value), &options);
}

static int64_t expiry_of(const kvstore *store, const char *key)
{
    kvstore_item item = {.key = key, .key_size = strlen(key)};
    assert_int_equal(kvstore_get_many(store, &item, 1), KVSTORE_OK);
    assert_int_equal(item.status, KVSTORE_OK);
    kvstore_free(item.value);
    return item.expires_ms;
}

/* A failure is told; an answer sets no error. */
static void assert_answer(kvstore_status status, kvstore_status wanted)
{
    assert_int_equal(status, wanted);
    if (wanted == KVSTORE_CONFLICT || wanted == KVSTORE_NOT_FOUND) {
        assert_int_not_equal(kvstore_last_error()->status, wanted);
    } else if (wanted != KVSTORE_OK) {
        assert_int_equal(kvstore_last_error()->status, wanted);
    }
}

static void append_damaged(const struct store_dir *dir, const char *key)
{
    struct log_text text = LOG_TEXT_EMPTY;
    (void)log_text_damaged_set(&text, key, "damaged");
    log_text_set(&text, "behind", "1");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

/* --- One key --- */

/* What comes of a condition where the key is absent, has another value, or has
 * "old". */
struct judgement {
    const char *expected;
    int condition;
    kvstore_status absent;
    kvstore_status other;
    kvstore_status same;
};

/* before: what the key has; NULL: nothing. */
static void assert_judgement(kvstore *store,
                             const struct judgement *judgement,
                             const char *before,
                             kvstore_status wanted)
{
    must_set(store, "key", before == NULL ? "x" : before);
    if (before == NULL) {
        must_remove(store, "key");
    }
    uint64_t size = checked_stats(store).log_bytes;
    assert_answer(
        set_if(
            store, "key", "new", judgement->condition, judgement->expected, 0),
        wanted);
    if (wanted == KVSTORE_OK) {
        assert_value(store, "key", "new");
        return;
    }
    assert_int_equal(checked_stats(store).log_bytes, size);
    if (before != NULL) {
        assert_value(store, "key", before);
    }
}

static void conditions_are_judged(void **state)
{
    const struct store_dir *dir = *state;
    const kvstore_status yes = KVSTORE_OK;
    const kvstore_status no = KVSTORE_CONFLICT;
    const struct judgement judgements[] = {
        {NULL, KVSTORE_IF_ANY, yes, yes, yes},
        {NULL, KVSTORE_IF_ABSENT, yes, no, no},
        {NULL, KVSTORE_IF_PRESENT, no, yes, yes},
        {"old", KVSTORE_IF_VALUE, no, no, yes},
    };
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        kvstore_options options = plain_options();
        options.exclusive = exclusive == 1;
        kvstore *store = open_with(dir, &options);
        for (size_t i = 0; i < sizeof judgements / sizeof judgements[0]; i++) {
            const struct judgement *judgement = &judgements[i];
            assert_judgement(store, judgement, NULL, judgement->absent);
            assert_judgement(store, judgement, "older", judgement->other);
            assert_judgement(store, judgement, "", judgement->other);
            assert_judgement(store, judgement, "old", judgement->same);
        }
        kvstore_close(store);
    }
}

static void wrong_options_are_refused(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    struct {
        kvstore_set_options options;
        char more[8];
    } longer = {.options = {.size = sizeof longer}};
    kvstore_set_options options = {.size = 0};

    assert_int_equal(kvstore_set_with(store, S("k"), S("v"), NULL), KVSTORE_OK);
    assert_int_equal(kvstore_set_with(store, S("k"), S("v"), &options),
                     KVSTORE_OK);
    assert_int_equal(kvstore_set_with(store, S("k"), S("v"), &longer.options),
                     KVSTORE_OK);
    longer.more[3] = 1;
    assert_answer(kvstore_set_with(store, S("k"), S("v"), &longer.options),
                  KVSTORE_INVALID);
    options.size = sizeof options - 1;
    assert_answer(kvstore_set_with(store, S("k"), S("v"), &options),
                  KVSTORE_INVALID);
    options.size = 0;
    options.reserved[7] = 1;
    assert_answer(kvstore_set_with(store, S("k"), S("v"), &options),
                  KVSTORE_INVALID);
    assert_answer(set_if(store, "k", "v", 4, NULL, 0), KVSTORE_INVALID);
    assert_answer(set_if(store, "k", "v", -1, NULL, 0), KVSTORE_INVALID);
    assert_answer(set_if(store, "k", "v", KVSTORE_IF_ABSENT, "x", 0),
                  KVSTORE_INVALID);
    assert_answer(set_if(store, "k", "v", 0, NULL, -2), KVSTORE_INVALID);
    assert_answer(set_if(store, "k", "v", 0, NULL, KVSTORE_EXPIRES_MAX + 1),
                  KVSTORE_INVALID);
    assert_answer(set_if(store, "k", "v", 0, NULL, world.now_ms),
                  KVSTORE_INVALID);
    assert_answer(set_if(NULL, "k", "v", 0, NULL, 0), KVSTORE_INVALID);
    assert_answer(set_if(store, "", "v", 0, NULL, 0), KVSTORE_INVALID_KEY);
    kvstore_close(store);
}

static void damage_is_no_answer(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    void *value = NULL;
    size_t size = 0;
    must_set(store, "key", "1");
    append_damaged(dir, "key");
    rest(12);
    must_set(store, "other", "1");
    uint64_t log_bytes = checked_stats(store).log_bytes;

    for (int condition = KVSTORE_IF_ABSENT; condition <= KVSTORE_IF_VALUE;
         condition++) {
        assert_answer(set_if(store,
                             "key",
                             "new",
                             condition,
                             condition == KVSTORE_IF_VALUE ? "1" : NULL,
                             0),
                      KVSTORE_CORRUPT);
    }
    assert_answer(set_if(store, "key", "new", 0, NULL, KVSTORE_EXPIRES_KEEP),
                  KVSTORE_CORRUPT);
    assert_answer(kvstore_remove_if(store, S("key"), S("1")), KVSTORE_CORRUPT);
    assert_answer(kvstore_take(store, S("key"), &value, &size),
                  KVSTORE_CORRUPT);
    assert_null(value);
    assert_answer(kvstore_exists(store, S("key")), KVSTORE_CORRUPT);
    assert_answer(kvstore_expire(store, S("key"), 0), KVSTORE_CORRUPT);
    assert_answer(kvstore_increment(store, S("key"), 1, 0, NULL),
                  KVSTORE_CORRUPT);
    assert_int_equal(checked_stats(store).log_bytes, log_bytes);
    assert_int_equal(set_if(store, "key", "new", 0, NULL, 0), KVSTORE_OK);
    assert_value(store, "key", "new");
    kvstore_close(store);
}

static void value_is_taken_once(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    void *value = NULL;
    size_t size = 0;
    must_set(store, "key", "1");

    assert_int_equal(kvstore_remove_if(store, S("key"), S("2")),
                     KVSTORE_CONFLICT);
    assert_int_equal(kvstore_exists(store, S("key")), KVSTORE_OK);
    assert_int_equal(kvstore_take(store, S("key"), &value, &size), KVSTORE_OK);
    assert_int_equal(size, 1);
    assert_string_equal(value, "1");
    kvstore_free(value);
    assert_answer(kvstore_take(store, S("key"), &value, &size),
                  KVSTORE_NOT_FOUND);
    assert_null(value);
    assert_answer(kvstore_exists(store, S("key")), KVSTORE_NOT_FOUND);
    assert_answer(kvstore_remove_if(store, S("key"), S("1")), KVSTORE_CONFLICT);
    must_set(store, "key", "");
    assert_int_equal(kvstore_remove_if(store, S("key"), NULL, 0), KVSTORE_OK);
    assert_absent(store, "key");
    kvstore_close(store);
}

/* --- Expiry --- */

static void expired_key_is_absent(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    int64_t sum = 7;
    assert_int_equal(set_if(store, "key", "1", 0, NULL, world.now_ms + 10),
                     KVSTORE_OK);
    assert_int_equal(expiry_of(store, "key"), world.now_ms + 10);
    world.now_ms += 9;
    assert_value(store, "key", "1");
    assert_int_equal(kvstore_exists(store, S("key")), KVSTORE_OK);
    assert_int_equal(set_if(store, "key", "2", KVSTORE_IF_ABSENT, NULL, 0),
                     KVSTORE_CONFLICT);

    world.now_ms++;

    assert_absent(store, "key");
    assert_int_equal(kvstore_exists(store, S("key")), KVSTORE_NOT_FOUND);
    assert_int_equal(kvstore_remove(store, S("key")), KVSTORE_NOT_FOUND);
    assert_int_equal(kvstore_expire(store, S("key"), 0), KVSTORE_NOT_FOUND);
    assert_int_equal(set_if(store, "key", "2", KVSTORE_IF_PRESENT, NULL, 0),
                     KVSTORE_CONFLICT);
    assert_int_equal(
        kvstore_increment(store, S("key"), 5, world.now_ms + 100, &sum),
        KVSTORE_OK);
    assert_int_equal(sum, 5);
    assert_int_equal(expiry_of(store, "key"), world.now_ms + 100);
    world.now_ms -= 1; /* Set back, and the newest record counts. */
    assert_value(store, "key", "5");
    kvstore_close(store);
}

static void expiry_is_kept_or_changed(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    int64_t later = world.now_ms + 1000;
    assert_int_equal(set_if(store, "key", "1", 0, NULL, later), KVSTORE_OK);

    assert_int_equal(set_if(store, "key", "2", 0, NULL, KVSTORE_EXPIRES_KEEP),
                     KVSTORE_OK);
    assert_int_equal(expiry_of(store, "key"), later);
    assert_int_equal(kvstore_increment(store, S("key"), 1, 0, NULL),
                     KVSTORE_OK);
    assert_int_equal(expiry_of(store, "key"), later);
    assert_value(store, "key", "3");
    assert_int_equal(kvstore_expire(store, S("key"), later + 5), KVSTORE_OK);
    assert_int_equal(expiry_of(store, "key"), later + 5);
    assert_int_equal(kvstore_expire(store, S("key"), 0), KVSTORE_OK);
    assert_int_equal(expiry_of(store, "key"), 0);
    assert_value(store, "key", "3");
    assert_answer(kvstore_expire(store, S("key"), KVSTORE_EXPIRES_KEEP),
                  KVSTORE_INVALID);
    assert_answer(kvstore_expire(store, S("key"), world.now_ms),
                  KVSTORE_INVALID);
    assert_int_equal(set_if(store, "key", "4", 0, NULL, later), KVSTORE_OK);
    must_set(store, "key", "5");
    assert_int_equal(expiry_of(store, "key"), 0);
    assert_int_equal(set_if(store, "new", "1", 0, NULL, KVSTORE_EXPIRES_KEEP),
                     KVSTORE_OK);
    assert_int_equal(expiry_of(store, "new"), 0);
    kvstore_close(store);
}

#define THRESHOLD UINT64_C(20000)

static kvstore *open_inline(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = THRESHOLD;
    return open_with(dir, &options);
}

static void set_for_a_moment(kvstore *store, int number)
{
    char key[32];
    (void)snprintf(key, sizeof key, "moment-%d", number);
    world.now_ms++;
    assert_int_equal(
        set_if(store, key, "short-lived", 0, NULL, world.now_ms + 10),
        KVSTORE_OK);
}

/* Only new keys: nothing ever becomes stale. Each byte is written twice at
 * most. */
static void keys_that_live_a_moment_take_little_room(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t largest = 0;
    uint64_t written = 0;
    kvstore *store = open_inline(dir);
    for (int i = 0; i < 20000; i++) {
        set_for_a_moment(store, i);
        uint64_t size = checked_stats(store).log_bytes;
        largest = size > largest ? size : largest;
        written += 110;
    }
    kvstore_stats stats = checked_stats(store);
    assert_true(largest <= 2 * THRESHOLD);
    assert_true(stats.compactions >= written / (2 * THRESHOLD));
    assert_true(stats.compactions <= written / THRESHOLD + 1);
    assert_true(stats.expiring_keys <= stats.keys);
    assert_int_equal(stats.expiring_bytes, stats.live_bytes);
    kvstore_close(store);
}

/* What lives for years is copied when the log has doubled, and not before; also
 * if the index was built anew. */
static void years_beside_moments_are_seldom_copied(void **state)
{
    enum { YEARS = 2000 };
    const struct store_dir *dir = *state;
    char key[32];
    kvstore *store = open_inline(dir);
    for (int i = 0; i < YEARS; i++) {
        name_key(key, sizeof key, i);
        assert_int_equal(set_if(store,
                                key,
                                "long-lived",
                                0,
                                NULL,
                                world.now_ms + INT64_C(1000000000)),
                         KVSTORE_OK);
    }
    must_compact(store);
    uint64_t kept = checked_stats(store).log_bytes;
    uint64_t compactions = checked_stats(store).compactions;
    uint64_t largest = 0;
    for (int i = 0; i < 20000; i++) {
        set_for_a_moment(store, i);
        uint64_t size = checked_stats(store).log_bytes;
        largest = size > largest ? size : largest;
        if (i == 10000) {
            compactions = checked_stats(store).compactions - compactions;
            kvstore_close(store);
            remove_index(dir);
            store = open_inline(dir);
        }
    }
    assert_true(largest <= 2 * kept + 2 * THRESHOLD);
    assert_in_range(compactions, 2, 8);
    assert_in_range(checked_stats(store).compactions, 2, 8);
    assert_in_range(checked_stats(store).expiring_keys, YEARS, UINT32_MAX);
    assert_value(store, "key-7", "long-lived");
    kvstore_close(store);
}

/* What has expired is not what a build finds to be kept. */
static void log_of_expired_keys_is_soon_compacted(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    kvstore *store = open_with(dir, &options);
    for (int i = 0; i < 1000; i++) {
        set_for_a_moment(store, i);
    }
    kvstore_close(store);
    remove_index(dir);
    world.now_ms += 1000;
    store = open_inline(dir);
    assert_true(checked_stats(store).log_bytes > 3 * THRESHOLD);

    set_for_a_moment(store, 1000);

    assert_int_equal(checked_stats(store).keys, 1);
    kvstore_close(store);
}

/* A compaction keeps what has expired while there is damage: it is not due for
 * ever. */
static void damage_beside_expired_keys_makes_no_endless_compaction(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_inline(dir);
    append_damaged(dir, "key");
    for (int i = 0; i < 3000; i++) {
        set_for_a_moment(store, i);
    }
    assert_in_range(checked_stats(store).compactions, 1, 8);
    assert_int_equal(kvstore_exists(store, S("key")), KVSTORE_CORRUPT);
    kvstore_close(store);
}

/* --- Numbers --- */

static void numbers_are_added(void **state)
{
    const struct store_dir *dir = *state;
    static const struct {
        const char *value;
        int64_t amount;
        kvstore_status status;
        const char *sum;
    } cases[] = {
        {"1", 1, KVSTORE_OK, "2"},
        {" \t\n7\r\n ", -8, KVSTORE_OK, "-1"},
        {"+5", 0, KVSTORE_OK, "5"},
        {"007", 1, KVSTORE_OK, "8"},
        {"-0", 0, KVSTORE_OK, "0"},
        {"9223372036854775807", 0, KVSTORE_OK, "9223372036854775807"},
        {"9223372036854775807", 1, KVSTORE_CONFLICT, NULL},
        {"-9223372036854775808", -1, KVSTORE_CONFLICT, NULL},
        {"-9223372036854775808", INT64_MAX, KVSTORE_OK, "-1"},
        {"9223372036854775808", -1, KVSTORE_CONFLICT, NULL},
        {"", 1, KVSTORE_CONFLICT, NULL},
        {" ", 1, KVSTORE_CONFLICT, NULL},
        {"-", 1, KVSTORE_CONFLICT, NULL},
        {"+ 5", 1, KVSTORE_CONFLICT, NULL},
        {"1 2", 1, KVSTORE_CONFLICT, NULL},
        {"0x10", 1, KVSTORE_CONFLICT, NULL},
        {"1.0", 1, KVSTORE_CONFLICT, NULL},
        {"1e3", 1, KVSTORE_CONFLICT, NULL},
        {"--1", 1, KVSTORE_CONFLICT, NULL},
    };
    kvstore *store = open_plain(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t sum = 42;
        must_set(store, "n", cases[i].value);
        print_message("'%s'\n", cases[i].value);
        assert_answer(
            kvstore_increment(store, S("n"), cases[i].amount, 0, &sum),
            cases[i].status);
        assert_value(
            store, "n", cases[i].sum == NULL ? cases[i].value : cases[i].sum);
        assert_int_equal(
            sum, cases[i].sum == NULL ? 0 : strtoll(cases[i].sum, NULL, 10));
    }
    assert_int_equal(kvstore_set(store, S("n"), "1\0", 2), KVSTORE_OK);
    assert_int_equal(kvstore_increment(store, S("n"), 1, 0, NULL),
                     KVSTORE_CONFLICT);
    assert_int_equal(kvstore_increment(store, S("new"), -3, 0, NULL),
                     KVSTORE_OK);
    assert_value(store, "new", "-3");
    kvstore_close(store);
}

/* Another process is the last to have the lock before this one gets it. */
static int flock_after_another(int fd, int operation)
{
    kvstore *other = world.other;
    if (other != NULL && (operation & LOCK_EX) != 0) {
        const kvstore_set_options options = {.size = sizeof options,
                                             .expires_ms = world.now_ms + 500};
        world.other = NULL;
        assert_int_equal(kvstore_set_with(other, S("key"), S("8"), &options),
                         KVSTORE_OK);
    }
    return kv_io_system_table()->flock(fd, operation);
}

static void what_is_asked_is_asked_under_the_lock(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore *other = open_plain(*state);
    int64_t sum = 0;
    world.table.flock = flock_after_another;

    world.other = other;
    assert_answer(set_if(store, "key", "1", KVSTORE_IF_ABSENT, NULL, 0),
                  KVSTORE_CONFLICT);
    must_set(store, "key", "1");
    world.other = other;
    assert_answer(set_if(store, "key", "2", KVSTORE_IF_VALUE, "1", 0),
                  KVSTORE_CONFLICT);
    must_remove(store, "key");
    world.other = other;
    assert_answer(set_if(store, "key", "2", KVSTORE_IF_PRESENT, NULL, 0),
                  KVSTORE_OK);
    world.other = other;
    assert_answer(set_if(store, "key", "2", 0, NULL, KVSTORE_EXPIRES_KEEP),
                  KVSTORE_OK);
    assert_int_equal(expiry_of(store, "key"), world.now_ms + 500);
    world.other = other;
    assert_answer(kvstore_increment(store, S("key"), 1, 0, &sum), KVSTORE_OK);
    assert_int_equal(sum, 9);

    assert_null(world.other);
    kvstore_close(other);
    kvstore_close(store);
}

#define COUNTS 500
#define COUNTERS 8

static void *count_up(void *context)
{
    kvstore *store = context;
    for (int i = 0; i < COUNTS; i++) {
        if (kvstore_increment(store, S("n"), 1, 0, NULL) != KVSTORE_OK) {
            return store;
        }
    }
    return NULL;
}

static bool counts_alone(const struct store_dir *dir,
                         const kvstore_options *options)
{
    kvstore *store = NULL;
    return kvstore_open(dir->path, options, &store) == KVSTORE_OK &&
           count_up(store) == NULL;
}

/* Eight threads of two handles, and eight processes. */
static void no_count_is_lost(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.lock_timeout_ms = INT32_MAX;
    pthread_t threads[COUNTERS];
    pid_t children[COUNTERS];
    for (int i = 0; i < COUNTERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            _exit(counts_alone(dir, &options) ? 0 : 1);
        }
    }
    kvstore *stores[2] = {open_with(dir, &options), open_with(dir, &options)};
    for (int i = 0; i < COUNTERS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, count_up, stores[i % 2]), 0);
    }
    for (int i = 0; i < COUNTERS; i++) {
        void *failed = NULL;
        int status = 0;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_value(stores[0], "n", "8000");
    assert_value(stores[1], "n", "8000");
    kvstore_close(stores[0]);
    kvstore_close(stores[1]);
}

/* --- Batches --- */

static kvstore_batch *new_batch(void)
{
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    return batch;
}

static void add(kvstore_batch *batch, const char *key, const char *value)
{
    assert_int_equal(value == NULL
                         ? kvstore_batch_remove(batch, S(key))
                         : kvstore_batch_set(batch, S(key), S(value), 0),
                     KVSTORE_OK);
}

static void batch_is_written_together(void **state)
{
    const struct store_dir *dir = *state;
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        kvstore_options options = plain_options();
        options.exclusive = exclusive == 1;
        kvstore *store = open_with(dir, &options);
        kvstore_batch *batch = new_batch();
        must_set(store, "b", "old");
        must_set(store, "gone", "old");
        add(batch, "a", "1");
        add(batch, "b", "2");
        add(batch, "gone", NULL);
        add(batch, "absent", NULL);
        add(batch, "c", "");
        assert_int_equal(kvstore_batch_count(batch), 5);

        for (int i = 0; i < 3; i++) { /* It can be written again. */
            assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
            assert_value(store, "a", "1");
            assert_value(store, "b", "2");
            assert_value(store, "c", "");
            assert_absent(store, "gone");
            assert_absent(store, "absent");
        }
        assert_int_equal(checked_stats(store).keys, 3);
        assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
        kvstore_batch_free(batch);
        kvstore_close(store);
        remove_index(dir);
        store = open_plain(dir);
        assert_value(store, "b", "2");
        assert_absent(store, "gone");
        must_compact(store);
        assert_value(store, "b", "2");
        kvstore_close(store);
    }
}

/* The last change of a key counts, in the place of the first; a batch of one
 * line is written as a single set. */
static void lines_are_in_the_order_of_first_changes(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore_batch *batch = new_batch();
    add(batch, "a", "x");
    add(batch, "b", "1");
    add(batch, "a", NULL);
    add(batch, "a", "2");
    assert_int_equal(kvstore_batch_count(batch), 2);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    kvstore_batch_clear(batch);
    assert_int_equal(kvstore_batch_count(batch), 0);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    add(batch, "c", "3");
    add(batch, "absent", NULL);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    kvstore_batch_free(batch);
    kvstore_close(store);

    struct file_text {
        char *bytes;
        size_t size;
    } log;
    log.bytes = store_dir_read(dir, KV_LOG_NAME, &log.size);
    const char *a = strstr(log.bytes,
                           "{\"Set\":{\"key\":\"a\",\"val\":\"2\","
                           "\"batch\":2,");
    const char *b = strstr(log.bytes,
                           "{\"Set\":{\"key\":\"b\",\"val\":\"1\","
                           "\"batch\":1,");
    assert_ptr_equal(a, log.bytes);
    assert_true(b > a);
    assert_non_null(strstr(b, "{\"Set\":{\"key\":\"c\",\"val\":\"3\",\"sum\""));
    free(log.bytes);
}

static size_t allocated;

static void *counting_malloc(size_t size)
{
    allocated += size;
    return kv_io_system_table()->malloc(size);
}

/* A batch may collect what is newest of a few keys, for a long time. */
static void batch_needs_no_more_memory_for_the_same_keys(void **state)
{
    kvstore *store = open_plain(*state);
    struct kv_io_table table = *kv_io_system_table();
    static char value[5000];
    memset(value, 'v', sizeof value);
    table.malloc = counting_malloc;
    kvstore_batch *batch = new_batch();
    allocated = 0;
    kv_io_swap_table(&table);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(
            i % 7 == 6 ? kvstore_batch_remove(batch, i % 2 == 0 ? "a" : "b", 1)
                       : kvstore_batch_set(batch,
                                           i % 2 == 0 ? "a" : "b",
                                           1,
                                           value,
                                           i % sizeof value,
                                           0),
            KVSTORE_OK);
    }
    kv_io_swap_table(kv_io_system_table());

    assert_true(allocated < 20 * sizeof value + ((size_t)256 << 10));
    add(batch, "a", "shorter");
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    assert_value(store, "a", "shorter");
    kvstore_batch_free(batch);
    kvstore_close(store);
}

static void leave_damage(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    kvstore_close(store);
    (void)log_text_damaged_set(&text, "damaged", "1");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

static void assert_whole_batch(kvstore *store)
{
    assert_value(store, "p", "2");
    assert_value(store, "q", "2");
    assert_absent(store, "a");
    assert_int_equal(checked_stats(store).damaged_records, 1);
}

static void write_two_batches(kvstore *store)
{
    kvstore_batch *batch = new_batch();
    add(batch, "p", "1");
    add(batch, "q", "2");
    add(batch, "a", NULL);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    add(batch, "p", "2");
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    kvstore_batch_free(batch);
}

/* A batch that follows damage could be one whose first line is damaged. */
static void batch_after_damage_stays_whole(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 4; i++) {
        kvstore_options options = plain_options();
        options.exclusive = i >= 2;
        options.sync = i % 2 == 0 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
        leave_damage(dir);
        kvstore *store = open_with(dir, &options);

        write_two_batches(store);

        assert_whole_batch(store);
        assert_int_equal(checked_stats(store).blank_bytes, 2);
        kvstore_close(store);
        remove_index(dir);
        store = open_plain(dir);
        assert_whole_batch(store);
        must_compact(store);
        assert_whole_batch(store);
        kvstore_close(store);
        store_dir_write(dir, KV_LOG_NAME, "", 0);
    }
}

static void condition_of_a_batch_stops_all_of_it(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore_batch *batch = new_batch();
    must_set(store, "a", "1");
    add(batch, "a", "2");
    add(batch, "b", "2");
    /* Judged by what was there before the batch. */
    assert_int_equal(
        kvstore_batch_require(batch, S("b"), KVSTORE_IF_ABSENT, NULL, 0),
        KVSTORE_OK);
    assert_int_equal(
        kvstore_batch_require(batch, S("a"), KVSTORE_IF_VALUE, S("1")),
        KVSTORE_OK);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    assert_answer(kvstore_write(store, batch), KVSTORE_CONFLICT);
    must_set(store, "a", "1");
    must_remove(store, "b");
    assert_int_equal(
        kvstore_batch_require(batch, S("c"), KVSTORE_IF_PRESENT, NULL, 0),
        KVSTORE_OK);
    uint64_t size = checked_stats(store).log_bytes;
    assert_answer(kvstore_write(store, batch), KVSTORE_CONFLICT);
    assert_int_equal(checked_stats(store).log_bytes, size);
    assert_value(store, "a", "1");
    assert_absent(store, "b");
    assert_answer(kvstore_batch_require(batch, S("c"), 4, NULL, 0),
                  KVSTORE_INVALID);
    assert_answer(kvstore_batch_set(batch, S("c"), NULL, 1, 0),
                  KVSTORE_INVALID);
    assert_answer(kvstore_batch_set(batch, "", 0, S("x"), 0),
                  KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_batch_count(batch), 2);
    kvstore_batch_free(batch);
    kvstore_close(store);
}

static void expiry_in_a_batch_is_judged_when_it_is_written(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore_batch *batch = new_batch();
    int64_t later = world.now_ms + 10;
    assert_int_equal(set_if(store, "kept", "1", 0, NULL, later + 1000),
                     KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, S("a"), S("1"), later),
                     KVSTORE_OK);
    assert_int_equal(
        kvstore_batch_set(batch, S("kept"), S("2"), KVSTORE_EXPIRES_KEEP),
        KVSTORE_OK);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    assert_int_equal(expiry_of(store, "a"), later);
    assert_int_equal(expiry_of(store, "kept"), later + 1000);
    world.now_ms = later;
    assert_answer(kvstore_write(store, batch), KVSTORE_INVALID);
    assert_absent(store, "a");
    assert_value(store, "kept", "2");
    kvstore_batch_free(batch);
    kvstore_close(store);
}

/* New keys by the thousand: the index grows once, to its final size. */
static void large_batch_grows_the_index_once(void **state)
{
    enum { MANY = 20000 };
    const struct store_dir *dir = *state;
    char key[32];
    kvstore *store = open_plain(dir);
    kvstore_batch *batch = new_batch();
    for (int i = 0; i < MANY; i++) {
        name_key(key, sizeof key, i);
        add(batch, key, value_of(i));
    }
    struct kv_index_file before = store->index.memory;
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    assert_int_not_equal(store->index.memory.inode, before.inode);
    uint64_t inode = store->index.memory.inode;
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    assert_int_equal(store->index.memory.inode, inode);
    assert_int_equal(checked_stats(store).keys, MANY);
    for (int i = 0; i < MANY; i++) {
        name_key(key, sizeof key, i);
        assert_value(store, key, value_of(i));
    }
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
    kvstore_batch_free(batch);
    kvstore_close(store);
}

/* --- Updates --- */

struct updating {
    kvstore *store;
    int calls;
    int rivals; /* So many times another write comes between. */
};

static bool append_x(void *context,
                     const kvstore_entry *current,
                     kvstore_batch *batch)
{
    struct updating *updating = context;
    char value[64];
    updating->calls++;
    if (updating->rivals > 0) {
        (void)snprintf(value, sizeof value, "rival%d", --updating->rivals);
        must_set(updating->store, "key", value);
    }
    if (current->status == KVSTORE_NOT_FOUND) {
        assert_null(current->value);
        return false;
    }
    assert_int_equal(((const char *)current->value)[current->value_size], 0);
    (void)snprintf(value, sizeof value, "%sx", (const char *)current->value);
    return kvstore_batch_set(batch, S("key"), S(value), KVSTORE_EXPIRES_KEEP) ==
           KVSTORE_OK;
}

/* The value is the same, and its expiry another one. */
static bool expire_once(void *context,
                        const kvstore_entry *current,
                        kvstore_batch *batch)
{
    struct updating *updating = context;
    if (updating->calls++ == 0) {
        assert_int_equal(
            kvstore_expire(updating->store, S("key"), world.now_ms + 100),
            KVSTORE_OK);
    }
    return kvstore_batch_set(batch, S("key"), S("new"), current->expires_ms) ==
           KVSTORE_OK;
}

static void update_sees_no_other_expiry_between(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    struct updating updating = {.store = store};
    must_set(store, "key", "a");

    assert_int_equal(kvstore_update(store, S("key"), expire_once, &updating),
                     KVSTORE_OK);

    assert_int_equal(updating.calls, 2);
    assert_value(store, "key", "new");
    assert_int_equal(expiry_of(store, "key"), world.now_ms + 100);
    kvstore_close(store);
}

static void update_sees_no_other_write_between(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    kvstore *store = open_with(dir, &options);
    struct updating updating = {.store = store, .rivals = 3};
    must_set(store, "key", "a");

    assert_int_equal(kvstore_update(store, S("key"), append_x, &updating),
                     KVSTORE_OK);
    assert_int_equal(updating.calls, 4);
    assert_value(store, "key", "rival0x");
    must_remove(store, "key");
    assert_answer(kvstore_update(store, S("key"), append_x, &updating),
                  KVSTORE_CONFLICT);
    assert_absent(store, "key");
    must_set(store, "key", "a");
    kvstore_close(store);

    options.lock_timeout_ms = -1;
    store = open_with(dir, &options);
    updating = (struct updating){.store = store, .rivals = 1};
    assert_answer(kvstore_update(store, S("key"), append_x, &updating),
                  KVSTORE_BUSY);
    assert_int_equal(updating.calls, 1);
    assert_value(store, "key", "rival0");
    append_damaged(dir, "key");
    rest(12);
    must_set(store, "other", "1");
    assert_answer(kvstore_update(store, S("key"), append_x, &updating),
                  KVSTORE_CORRUPT);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(conditions_are_judged),
        WORLD_TEST(wrong_options_are_refused),
        WORLD_TEST(damage_is_no_answer),
        WORLD_TEST(value_is_taken_once),
        WORLD_TEST(expired_key_is_absent),
        WORLD_TEST(expiry_is_kept_or_changed),
        WORLD_TEST(keys_that_live_a_moment_take_little_room),
        WORLD_TEST(years_beside_moments_are_seldom_copied),
        WORLD_TEST(log_of_expired_keys_is_soon_compacted),
        WORLD_TEST(damage_beside_expired_keys_makes_no_endless_compaction),
        WORLD_TEST(numbers_are_added),
        WORLD_TEST(what_is_asked_is_asked_under_the_lock),
        WORLD_TEST(no_count_is_lost),
        WORLD_TEST(batch_is_written_together),
        WORLD_TEST(lines_are_in_the_order_of_first_changes),
        WORLD_TEST(batch_needs_no_more_memory_for_the_same_keys),
        WORLD_TEST(batch_after_damage_stays_whole),
        WORLD_TEST(condition_of_a_batch_stops_all_of_it),
        WORLD_TEST(expiry_in_a_batch_is_judged_when_it_is_written),
        WORLD_TEST(large_batch_grows_the_index_once),
        WORLD_TEST(update_sees_no_other_write_between),
        WORLD_TEST(update_sees_no_other_expiry_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
