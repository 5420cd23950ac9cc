/* SPDX-License-Identifier: MIT */

/* Are wrong arguments refused, by every call that makes, judges or follows
 * changes? And a handle, an iterator and a watcher in a child of fork? */

#include "kvstore.h"
#include "os/bounds.h"
#include "store_calls.h"
#include "store_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char long_key[KVSTORE_KEY_SIZE_MAX + 1];

static bool leave_it(void *context,
                     const kvstore_entry *current,
                     kvstore_batch *batch)
{
    (void)context;
    (void)current;
    (void)batch;
    return false;
}

static void batch_takes_no_wrong_key(void **state)
{
    (void)state;
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);

    assert_int_equal(kvstore_batch_set(NULL, "a", 1, "1", 1, 0),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_batch_set(batch, NULL, 1, "1", 1, 0),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_batch_set(batch, "", 0, "1", 1, 0),
                     KVSTORE_INVALID_KEY);
    assert_int_equal(
        kvstore_batch_set(batch, long_key, sizeof long_key, "1", 1, 0),
        KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_batch_set(batch, "a", 1, NULL, 1, 0),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_batch_set(batch, "a", 1, "1", 1, -7),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_batch_remove(batch, "", 0), KVSTORE_INVALID_KEY);
    assert_int_equal(
        kvstore_batch_require(batch, "", 0, KVSTORE_IF_ABSENT, NULL, 0),
        KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_batch_require(batch, "a", 1, 7, NULL, 0),
                     KVSTORE_INVALID);

    assert_int_equal(kvstore_batch_count(batch), 0);
    kvstore_batch_free(batch);
}

static void no_batch_is_an_empty_one(void **state)
{
    (void)state;
    assert_int_equal(kvstore_batch_count(NULL), 0);
    kvstore_batch_clear(NULL);
    kvstore_batch_free(NULL);
}

static void change_on_a_condition_needs_its_arguments(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_batch *batch = NULL;
    void *value = NULL;
    size_t size = 0;
    int64_t sum = 7;
    must_set(store, "a", "1");
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);

    assert_int_equal(kvstore_remove_if(NULL, "a", 1, "1", 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_remove_if(store, "a", 1, NULL, 1),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_take(store, "a", 1, NULL, &size), KVSTORE_INVALID);
    assert_int_equal(kvstore_take(store, "a", 1, &value, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_take(store, "", 0, &value, &size),
                     KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_expire(store, "", 0, 0), KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_expire(store, "a", 1, KVSTORE_EXPIRES_KEEP),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_increment(store, "", 0, 1, 0, &sum),
                     KVSTORE_INVALID_KEY);
    assert_int_equal(sum, 0);
    assert_int_equal(kvstore_write(NULL, batch), KVSTORE_INVALID);
    assert_int_equal(kvstore_write(store, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_update(store, "a", 1, NULL, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_update(store, "", 0, leave_it, NULL),
                     KVSTORE_INVALID_KEY);
    assert_int_equal(kvstore_exists(NULL, "a", 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_compact_if_due(NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_sync(NULL), KVSTORE_INVALID);

    assert_value(store, "a", "1");
    kvstore_batch_free(batch);
    kvstore_close(store);
}

/* A number that is not there yet has no expiry to keep. */
static void first_sum_has_no_expiry_to_keep(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_item item = {.key = "n", .key_size = 1};
    assert_int_equal(
        kvstore_increment(store, "n", 1, 5, KVSTORE_EXPIRES_KEEP, NULL),
        KVSTORE_OK);

    assert_int_equal(kvstore_get_many(store, &item, 1), KVSTORE_OK);

    assert_int_equal(item.status, KVSTORE_OK);
    assert_string_equal(item.value, "5");
    assert_int_equal(item.expires_ms, KVSTORE_EXPIRES_NEVER);
    kvstore_free(item.value);
    kvstore_close(store);
}

static void range_needs_its_bytes(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_iterator *iterator = NULL;
    const kvstore_range ranges[] = {{.prefix_size = 1},
                                    {.from_size = 1},
                                    {.to_size = 1},
                                    {.reserved = {1}}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(kvstore_iterator_create(store, &ranges[i], &iterator),
                         KVSTORE_INVALID);
        assert_null(iterator);
    }
    kvstore_close(store);
}

/* --- In a child of fork --- */

struct inherited {
    kvstore *store;
    kvstore_batch *batch;
    kvstore_iterator *iterator;
    kvstore_watcher *watcher;
    const char *backup;
};

static bool is_refused_here(struct inherited *own)
{
    kvstore *store = own->store;
    void *value = NULL;
    size_t size = 0;
    const kvstore_entry *entry = NULL;
    const kvstore_change *change = NULL;
    kvstore_iterator *iterator = NULL;
    kvstore_watcher *watcher = NULL;
    kvstore_stats stats;
    return kvstore_write(store, own->batch) == KVSTORE_INVALID &&
           kvstore_update(store, "a", 1, leave_it, NULL) == KVSTORE_INVALID &&
           kvstore_take(store, "a", 1, &value, &size) == KVSTORE_INVALID &&
           kvstore_expire(store, "a", 1, 0) == KVSTORE_INVALID &&
           kvstore_increment(store, "a", 1, 1, 0, NULL) == KVSTORE_INVALID &&
           kvstore_exists(store, "a", 1) == KVSTORE_INVALID &&
           kvstore_compact_if_due(store) == KVSTORE_INVALID &&
           kvstore_sync(store) == KVSTORE_INVALID &&
           kvstore_get_stats(store, &stats) == KVSTORE_INVALID &&
           kvstore_backup(store, own->backup) == KVSTORE_INVALID &&
           kvstore_repair(store, NULL, NULL) == KVSTORE_INVALID &&
           kvstore_iterator_create(store, NULL, &iterator) == KVSTORE_INVALID &&
           kvstore_watcher_create(store, NULL, &watcher) == KVSTORE_INVALID &&
           kvstore_iterator_next(own->iterator, &entry) == KVSTORE_INVALID &&
           kvstore_watcher_next(own->watcher, 0, &change) == KVSTORE_INVALID;
}

static void child_of_fork_is_refused_and_may_free_all(void **state)
{
    struct store_dir *dir = *state;
    int status = 0;
    struct inherited own = {.store = open_plain(dir),
                            .backup = store_dir_path(dir, "backup")};
    must_set(own.store, "a", "1");
    assert_int_equal(kvstore_batch_create(&own.batch), KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(own.batch, "a", 1, "2", 1, 0),
                     KVSTORE_OK);
    assert_int_equal(kvstore_iterator_create(own.store, NULL, &own.iterator),
                     KVSTORE_OK);
    assert_int_equal(kvstore_watcher_create(own.store, NULL, &own.watcher),
                     KVSTORE_OK);

    pid_t child = fork();
    if (child == 0) {
        bool is_refused = is_refused_here(&own);
        kvstore_iterator_free(own.iterator);
        kvstore_watcher_free(own.watcher);
        kvstore_batch_free(own.batch);
        kvstore_close(own.store);
        _exit(is_refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);

    /* The parent's are as before. */
    const kvstore_entry *entry = NULL;
    const kvstore_change *change = NULL;
    assert_int_equal(kvstore_write(own.store, own.batch), KVSTORE_OK);
    assert_int_equal(kvstore_iterator_next(own.iterator, &entry), KVSTORE_OK);
    assert_int_equal(kvstore_watcher_next(own.watcher, 0, &change), KVSTORE_OK);
    assert_int_equal(change->kind, KVSTORE_CHANGE_SET);
    kvstore_iterator_free(own.iterator);
    kvstore_watcher_free(own.watcher);
    kvstore_batch_free(own.batch);
    assert_value(own.store, "a", "2");
    kvstore_close(own.store);
}

int main(void)
{
    memset(long_key, 'k', sizeof long_key);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_takes_no_wrong_key),
        cmocka_unit_test(no_batch_is_an_empty_one),
        STORE_TEST(change_on_a_condition_needs_its_arguments),
        STORE_TEST(first_sum_has_no_expiry_to_keep),
        STORE_TEST(range_needs_its_bytes),
        STORE_TEST(child_of_fork_is_refused_and_may_free_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
