/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: writes of many threads
 * that go to the log together. The first writer is held in its system call
 * until the others have queued up after it, one by one; so it is known what
 * makes up a group. */

#include "index/file.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "store/handle.h"
#include "store_calls.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)
#define WRITERS_MAX 64

/* As many keys as fill the smallest index. */
#define FULL_KEYS 192

struct writer {
    const char *key;
    const char *value; /* NULL: removes. */
    kvstore_status status;
    kvstore_error error;
    atomic_bool is_done;
    pthread_t thread;
};

static struct {
    struct kv_io_table table;
    kvstore *store;
    atomic_bool holds; /* Hold the next append (or its sync). */
    atomic_bool is_held;
    atomic_int pwrites; /* Of the log. */
    atomic_int syncs;
    uint64_t limit; /* On the log's size, by the space on the disk. */
    struct writer first;
    struct writer writers[WRITERS_MAX];
    unsigned count;
} group;

/* --- Holding the first one --- */

static void hold(void)
{
    if (!atomic_exchange(&group.holds, false)) {
        return;
    }
    atomic_store(&group.is_held, true);
    while (atomic_load(&group.is_held)) {
        kv_io_sleep_ns(NS_PER_MS / 10);
    }
}

static ssize_t counted_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    if (group.store == NULL || fd != group.store->log.file.fd) {
        return kv_io_system_table()->pwrite(fd, bytes, size, offset);
    }
    atomic_fetch_add(&group.pwrites, 1);
    if (!group.store->is_durable) {
        hold();
    }
    uint64_t start = (uint64_t)offset;
    if (start < group.limit) {
        uint64_t room = group.limit - start;
        size = size < room ? size : (size_t)room;
        return kv_io_system_table()->pwrite(fd, bytes, size, offset);
    }
    errno = ENOSPC;
    return -1;
}

static int counted_fdatasync(int fd)
{
    atomic_fetch_add(&group.syncs, 1);
    hold();
    return kv_io_system_table()->fdatasync(fd);
}

static int refuse_blocks(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = ENOSPC;
    return -1;
}

static int set_up(void **state)
{
    memset(&group, 0, sizeof group);
    group.limit = UINT64_MAX;
    group.table = *kv_io_system_table();
    group.table.pwrite = counted_pwrite;
    group.table.fdatasync = counted_fdatasync;
    kv_io_swap_table(&group.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define GROUP_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void *write_one(void *argument)
{
    struct writer *writer = argument;
    writer->status =
        writer->value == NULL
            ? kvstore_remove(group.store, writer->key, strlen(writer->key))
            : try_set(group.store, writer->key, writer->value);
    writer->error = *kvstore_last_error();
    atomic_store(&writer->is_done, true);
    return NULL;
}

static void start(struct writer *writer, const char *key, const char *value)
{
    *writer = (struct writer){.key = key, .value = value};
    assert_int_equal(pthread_create(&writer->thread, NULL, write_one, writer),
                     0);
}

static unsigned queued(void)
{
    unsigned count = 0;
    struct kv_gate *gate = &group.store->gate;
    (void)pthread_mutex_lock(&gate->mutex);
    for (const struct kv_gate_waiter *at = gate->first; at != NULL;
         at = at->next) {
        count++;
    }
    (void)pthread_mutex_unlock(&gate->mutex);
    return count;
}

static kvstore_options durable_options(void)
{
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    options.lock_timeout_ms = 60000;
    return options;
}

/* Starts a writer, and holds it in the middle of its append. */
static void begin(void)
{
    atomic_store(&group.holds, true);
    start(&group.first, "first", "1");
    while (!atomic_load(&group.is_held)) {
        kv_io_sleep_ns(NS_PER_MS / 10);
    }
    group.count = 0;
}

/* Queues another writer; value NULL: to remove. */
static void add(const char *key, const char *value)
{
    assert_true(group.count < WRITERS_MAX);
    struct writer *writer = &group.writers[group.count++];
    start(writer, key, value);
    while (queued() != group.count && !atomic_load(&writer->is_done)) {
        kv_io_sleep_ns(NS_PER_MS / 20);
    }
}

/* Lets the writers go, and counts what they do from then on. */
static void finish(void)
{
    atomic_store(&group.pwrites, 0);
    atomic_store(&group.syncs, 0);
    atomic_store(&group.is_held, false);
    assert_int_equal(pthread_join(group.first.thread, NULL), 0);
    for (unsigned i = 0; i < group.count; i++) {
        assert_int_equal(pthread_join(group.writers[i].thread, NULL), 0);
    }
}

static void assert_statuses(kvstore_status status)
{
    assert_int_equal(group.first.status, KVSTORE_OK);
    for (unsigned i = 0; i < group.count; i++) {
        assert_int_equal(group.writers[i].status, status);
    }
}

static void assert_calls(int pwrites, int syncs)
{
    assert_int_equal(atomic_load(&group.pwrites), pwrites);
    assert_int_equal(atomic_load(&group.syncs), syncs);
}

/* Closes the store, which must report what a fold of the log says. */
static void close_exact(const struct store_dir *dir)
{
    kvstore_stats told = checked_stats(group.store);
    kvstore_close(group.store);
    group.store = NULL;
    kv_io_swap_table(kv_io_system_table());
    (void)remove(store_dir_path(dir, KV_INDEX_NAME));
    kvstore *store = open_plain(dir);
    kvstore_stats folded = checked_stats(store);
    assert_int_equal(folded.keys, told.keys);
    assert_int_equal(folded.live_bytes, told.live_bytes);
    assert_int_equal(folded.stale_bytes, told.stale_bytes);
    assert_int_equal(folded.log_bytes, told.log_bytes);
    assert_int_equal(folded.damaged_records, 0);
    kvstore_close(store);
}

static void open_durable(const struct store_dir *dir)
{
    kvstore_options options = durable_options();
    group.store = open_with(dir, &options);
}

static const char *numbered(int number)
{
    static char keys[1000][16];
    (void)snprintf(keys[number], sizeof keys[number], "key-%d", number);
    return keys[number];
}

/* --- One lock, one append, one sync --- */

static void assert_group_of_63(const struct store_dir *dir,
                               const kvstore_options *options,
                               int syncs)
{
    group.store = open_with(dir, options);
    begin();
    for (int i = 0; i < 63; i++) {
        add(numbered(i), "value");
    }

    finish();

    assert_statuses(KVSTORE_OK);
    assert_calls(1, syncs);
    for (int i = 0; i < 63; i++) {
        assert_value(group.store, numbered(i), "value");
    }
    assert_value(group.store, "first", "1");
    assert_int_equal(checked_stats(group.store).keys, 64);
    close_exact(dir);
}

static void waiting_writes_take_one_append_and_one_sync(void **state)
{
    kvstore_options options = durable_options();
    assert_group_of_63(*state, &options, 1);
}

static void exclusive_handle_writes_groups(void **state)
{
    kvstore_options options = durable_options();
    options.exclusive = true;
    assert_group_of_63(*state, &options, 1);
}

static void unsynced_group_takes_one_append(void **state)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    assert_group_of_63(*state, &options, 0);
}

static void long_lines_are_written_by_themselves(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = (size_t)100 << 10;
    char *value = malloc(size + 1);
    assert_non_null(value);
    memset(value, 'x', size);
    value[size] = '\0';
    open_durable(dir);
    begin();
    for (int i = 0; i < 5; i++) {
        add(numbered(i), value);
    }

    finish();

    /* Three that come to more than 256 KiB, and two that do not. */
    assert_statuses(KVSTORE_OK);
    assert_calls(4, 2);
    for (int i = 0; i < 5; i++) {
        assert_value(group.store, numbered(i), value);
    }
    close_exact(dir);
    free(value);
}

/* --- One key more than once --- */

static void last_in_order_wins(void **state)
{
    const struct store_dir *dir = *state;
    open_durable(dir);
    must_set(group.store, "old", "0");
    begin();
    add("new", "1");
    add("old", "1");
    add("new", "2");
    add("old", NULL);
    add("new", NULL);
    add("new", "3");
    add("old", "2");
    add("gone", "1");
    add("gone", "2");
    add("gone", NULL);

    finish();

    assert_statuses(KVSTORE_OK);
    assert_calls(1, 1);
    assert_value(group.store, "new", "3");
    assert_value(group.store, "old", "2");
    assert_absent(group.store, "gone");
    assert_int_equal(checked_stats(group.store).keys, 3);
    must_compact(group.store);
    assert_value(group.store, "new", "3");
    assert_int_equal(checked_stats(group.store).stale_bytes, 0);
    close_exact(dir);
}

static void second_remove_in_a_group_finds_nothing(void **state)
{
    const struct store_dir *dir = *state;
    open_durable(dir);
    must_set(group.store, "old", "0");
    begin();
    add("new", "1");
    add("new", NULL);
    add("new", NULL);
    add("old", NULL);
    add("old", NULL);
    add("never", NULL);

    finish();

    static const kvstore_status expected[] = {KVSTORE_OK,
                                              KVSTORE_OK,
                                              KVSTORE_NOT_FOUND,
                                              KVSTORE_OK,
                                              KVSTORE_NOT_FOUND,
                                              KVSTORE_NOT_FOUND};
    for (unsigned i = 0; i < group.count; i++) {
        assert_int_equal(group.writers[i].status, expected[i]);
    }
    assert_calls(1, 1);
    assert_absent(group.store, "new");
    assert_absent(group.store, "old");
    assert_int_equal(checked_stats(group.store).keys, 1);
    close_exact(dir);
}

/* --- An index that has to grow --- */

/* Fills the index, but for so many keys and the first writer's. */
static void open_nearly_full(const struct store_dir *dir, int room)
{
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    (void)remove(store_dir_path(dir, KV_INDEX_NAME));
    kvstore *store = open_plain(dir);
    for (int i = 0; i < FULL_KEYS - room - 1; i++) {
        must_set(store, numbered(i), "old");
    }
    kvstore_close(store);
    open_durable(dir);
    assert_int_equal(store_dir_file_size(dir, KV_INDEX_NAME),
                     kv_table_region_size(KV_TABLE_BUCKETS_MIN));
}

/* Adds older keys first: their places were found in the index that is
 * replaced. */
static void add_old_and_new_keys(int old_keys, int new_keys)
{
    for (int i = 0; i < old_keys; i++) {
        add(numbered(i), "value");
    }
    for (int i = 0; i < new_keys; i++) {
        add(numbered(FULL_KEYS + i), "value");
    }
}

static void assert_old_and_new_keys(int old_keys, int new_keys, int room)
{
    for (int i = 0; i < FULL_KEYS - room - 1; i++) {
        assert_value(group.store, numbered(i), i < old_keys ? "value" : "old");
    }
    for (int i = 0; i < new_keys; i++) {
        assert_value(group.store, numbered(FULL_KEYS + i), "value");
    }
}

static void index_grows_in_the_middle_of_a_group(void **state)
{
    const struct store_dir *dir = *state;
    for (int room = 0; room <= 10; room += 5) {
        open_nearly_full(dir, room);
        begin();
        add_old_and_new_keys(20, 30);

        finish();

        assert_statuses(KVSTORE_OK);
        assert_calls(1, 1);
        assert_int_equal(group.store->index.table.bucket_count,
                         KV_TABLE_BUCKETS_MIN / 2 * 3);
        assert_old_and_new_keys(20, 30, room);
        close_exact(dir);
        kv_io_swap_table(&group.table);
    }
}

static void without_room_to_grow_known_keys_are_set(void **state)
{
    const struct store_dir *dir = *state;
    open_nearly_full(dir, 5);
    begin();
    add_old_and_new_keys(3, 8);
    add(numbered(100), NULL);
    group.table.allocate_blocks = refuse_blocks;

    finish();

    for (unsigned i = 0; i < group.count; i++) {
        bool has_room = i < 8 || i == 11;
        assert_int_equal(group.writers[i].status,
                         has_room ? KVSTORE_OK : KVSTORE_IO);
        assert_true(has_room || group.writers[i].error.system_errno == ENOSPC);
    }
    assert_calls(9, 9); /* One by one. */
    assert_value(group.store, numbered(0), "value");
    assert_absent(group.store, numbered(100));
    assert_absent(group.store, numbered(FULL_KEYS + 5));
    close_exact(dir);
}

static void open_some(const struct store_dir *dir)
{
    open_nearly_full(dir, FULL_KEYS / 2);
    must_set(group.store, "doubtful", "1");
}

/* Queues a Remove of a key whose slot lies: it is looked at, and the index is
 * built anew. */
static void add_doubtful_remove(void)
{
    struct kv_table *table = &group.store->index.table;
    struct kv_table_hash hash = kv_table_hash(table, "doubtful", 8);
    struct kv_table_place place;
    struct kv_table_entry entry;
    add("doubtful", NULL);
    assert_true(kv_table_find(table, hash, false, &place, &entry));
    entry.kind = KV_TABLE_REMOVE;
    atomic_store(&table->words[place.slot * 2 + 1],
                 kv_table_slot_of(hash, &entry).pointer);
}

/* All but the one that must have another index. */
static void without_room_to_rebuild_the_others_are_written(void **state)
{
    const struct store_dir *dir = *state;
    open_some(dir);
    begin();
    add_old_and_new_keys(5, 0);
    add("new-1", "value");
    add("new-2", "value");
    add("new-2", NULL);
    add("new-2", NULL);
    add_doubtful_remove();
    group.table.allocate_blocks = refuse_blocks;

    finish();

    assert_true(group.store->index.is_shared);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(group.writers[i].status, KVSTORE_OK);
    }
    assert_int_equal(group.writers[8].status, KVSTORE_NOT_FOUND);
    assert_int_equal(group.writers[9].status, KVSTORE_IO);
    assert_int_equal(group.writers[9].error.system_errno, ENOSPC);
    for (int i = 0; i < 10; i++) {
        assert_value(group.store, numbered(i), i < 5 ? "value" : "old");
    }
    assert_value(group.store, "new-1", "value");
    assert_absent(group.store, "new-2");
    group.table.allocate_blocks = kv_io_system_table()->allocate_blocks;
    must_remove(group.store, "doubtful");
    close_exact(dir);
}

static atomic_int syncs_before_failure;

static int late_failing_fdatasync(int fd)
{
    hold();
    if (atomic_fetch_sub(&syncs_before_failure, 1) <= 0) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fdatasync(fd);
}

/* The sync that the building of the index begins with fails. */
static void sync_that_fails_in_the_middle_fails_the_group(void **state)
{
    const struct store_dir *dir = *state;
    open_some(dir);
    atomic_store(&syncs_before_failure, 1);
    group.table.fdatasync = late_failing_fdatasync;
    begin();
    add_old_and_new_keys(5, 0);
    add("new", "value");
    add_doubtful_remove();
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);

    finish();

    assert_statuses(KVSTORE_IO);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_value(group.store, numbered(0), "old");
    assert_absent(group.store, "new");
    assert_value(group.store, "doubtful", "1");
    kvstore_close(group.store);
}

/* --- Failures --- */

static void without_space_small_lines_are_written(void **state)
{
    const struct store_dir *dir = *state;
    char big[400];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    open_durable(dir);
    must_set(group.store, "old", "0");
    begin();
    add("a", "1");
    add("big", big);
    add("b", "1");
    add("old", NULL);
    add("old", NULL);
    group.limit = store_dir_file_size(dir, KV_LOG_NAME) + 200;

    finish();

    static const kvstore_status expected[] = {
        KVSTORE_OK, KVSTORE_IO, KVSTORE_OK, KVSTORE_OK, KVSTORE_NOT_FOUND};
    for (unsigned i = 0; i < group.count; i++) {
        assert_int_equal(group.writers[i].status, expected[i]);
    }
    assert_int_equal(group.writers[1].error.system_errno, ENOSPC);
    assert_value(group.store, "a", "1");
    assert_value(group.store, "b", "1");
    assert_absent(group.store, "big");
    assert_absent(group.store, "old");
    group.limit = UINT64_MAX;
    must_set(group.store, "big", big);
    close_exact(dir);
}

static int refuse_ftruncate(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = EIO;
    return -1;
}

/* What is in the log then must not be mixed with other lines. */
static void what_cannot_be_cut_off_fails_the_group(void **state)
{
    const struct store_dir *dir = *state;
    char value[64];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    open_durable(dir);
    begin();
    for (int i = 0; i < 6; i++) {
        add(numbered(i), i == 0 ? value : "1");
    }
    group.limit = store_dir_file_size(dir, KV_LOG_NAME) + 150;
    group.table.ftruncate = refuse_ftruncate;

    finish();

    bool is_cut = true;
    for (unsigned i = 0; i < group.count; i++) {
        is_cut &= group.writers[i].status == KVSTORE_OK;
    }
    group.limit = UINT64_MAX;
    group.table.ftruncate = kv_io_system_table()->ftruncate;
    must_set(group.store, "last", "1");
    assert_value(group.store, "last", "1");
    assert_false(is_cut);
    close_exact(dir);
}

/* Not even the second Remove, which found nothing. */
static void failed_sync_fails_the_group(void **state)
{
    const struct store_dir *dir = *state;
    open_durable(dir);
    must_set(group.store, "old", "0");
    begin();
    add("new", "1");
    add("old", "1");
    add("old", NULL);
    add("old", NULL);
    /* Not the first writer's. */
    atomic_store(&syncs_before_failure, 0);
    group.table.fdatasync = late_failing_fdatasync;
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);

    finish();

    assert_statuses(KVSTORE_IO);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    for (unsigned i = 0; i < group.count; i++) {
        assert_int_equal(group.writers[i].error.system_errno, EIO);
    }
    assert_value(group.store, "old", "0");
    assert_absent(group.store, "new");
    assert_int_equal(checked_stats(group.store).keys, 2);
    group.table.fdatasync = kv_io_system_table()->fdatasync;
    assert_int_equal(try_set(group.store, "new", "1"), KVSTORE_IO);
    must_compact(group.store);
    must_set(group.store, "new", "1");
    close_exact(dir);
}

static void *sync_store(void *argument)
{
    struct writer *writer = argument;
    writer->status = kvstore_sync(group.store);
    return NULL;
}

#define DESCRIPTORS 256
static atomic_int failures_told[DESCRIPTORS];

/* As the kernel does: it tells each open file once, so of two syncs that run at
 * once on one of them, one reports it. */
static int once_failing_fdatasync(int fd)
{
    assert_in_range(fd, 0, DESCRIPTORS - 1);
    kv_io_sleep_ns(5 * NS_PER_MS);
    if (atomic_fetch_add(&failures_told[fd], 1) == 0) {
        errno = EIO;
        return -1;
    }
    return 0;
}

static void failure_told_to_one_sync_fails_the_other(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 10; i++) {
        struct writer syncers[2];
        struct writer setter;
        store_dir_write(dir, KV_LOG_NAME, "", 0);
        group.table.fdatasync = kv_io_system_table()->fdatasync;
        open_durable(dir);
        for (int fd = 0; fd < DESCRIPTORS; fd++) {
            atomic_store(&failures_told[fd], 0);
        }
        group.table.fdatasync = once_failing_fdatasync;
        for (int j = 0; j < 2; j++) {
            assert_int_equal(
                pthread_create(
                    &syncers[j].thread, NULL, sync_store, &syncers[j]),
                0);
        }
        start(&setter, "key", "1");

        assert_int_equal(pthread_join(syncers[0].thread, NULL), 0);
        assert_int_equal(pthread_join(syncers[1].thread, NULL), 0);
        assert_int_equal(pthread_join(setter.thread, NULL), 0);

        assert_int_equal(setter.status, KVSTORE_IO);
        assert_int_equal(syncers[0].status, KVSTORE_IO);
        assert_int_equal(syncers[1].status, KVSTORE_IO);
        assert_absent(group.store, "key");
        kvstore_close(group.store);
    }
}

static void impatient_writer_leaves_no_record(void **state)
{
    const struct store_dir *dir = *state;
    open_durable(dir);
    begin();
    add("a", "1");
    group.store->lock_timeout_ms = 300;
    add("impatient", "1");
    group.store->lock_timeout_ms = 60000;
    group.count--;
    assert_int_equal(pthread_join(group.writers[1].thread, NULL), 0);
    struct writer impatient = group.writers[1];
    add("b", "1");

    finish();

    assert_int_equal(impatient.status, KVSTORE_BUSY);
    assert_int_equal(impatient.error.status, KVSTORE_BUSY);
    assert_statuses(KVSTORE_OK);
    assert_calls(1, 1);
    assert_absent(group.store, "impatient");
    assert_value(group.store, "b", "1");
    assert_int_equal(checked_stats(group.store).keys, 3);
    close_exact(dir);
}

/* To have the index built anew it would have to be past the gate, too. */
static void get_in_doubt_is_busy_while_a_thread_writes(void **state)
{
    const struct store_dir *dir = *state;
    const uint64_t key_offset = sizeof "{\"Set\":{\"key\":\"" - 1;
    open_durable(dir);
    must_set(group.store, "old", "0");
    begin();
    group.store->lock_timeout_ms = 0;
    store_dir_overwrite(dir, KV_LOG_NAME, key_offset, "?", 1);

    assert_int_equal(try_get(group.store, "old"), KVSTORE_BUSY);

    store_dir_overwrite(dir, KV_LOG_NAME, key_offset, "o", 1);
    group.store->lock_timeout_ms = 60000;
    finish();
    assert_statuses(KVSTORE_OK);
    assert_value(group.store, "old", "0");
    close_exact(dir);
}

static void failure_of_others_is_not_the_writers_last_error(void **state)
{
    const struct store_dir *dir = *state;
    open_nearly_full(dir, 0);
    begin();
    add(numbered(0), "value"); /* This one writes for the others. */
    add("new", "value");
    group.table.allocate_blocks = refuse_blocks;

    finish();

    assert_int_equal(group.writers[0].status, KVSTORE_OK);
    assert_int_equal(group.writers[0].error.status, KVSTORE_OK);
    assert_int_equal(group.writers[1].status, KVSTORE_IO);
    assert_int_equal(group.writers[1].error.system_errno, ENOSPC);
    close_exact(dir);
}

/* --- Compaction --- */

static void compaction_becomes_due_in_a_group(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = durable_options();
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 600;
    group.store = open_with(dir, &options);
    begin();
    for (int i = 0; i < 30; i++) {
        add(numbered(i % 3), i < 27 ? "early" : "late");
    }

    finish();

    assert_statuses(KVSTORE_OK);
    kvstore_stats stats = checked_stats(group.store);
    assert_int_equal(stats.compactions, 1);
    assert_int_equal(stats.stale_bytes, 0);
    assert_int_equal(stats.keys, 4);
    for (int i = 0; i < 3; i++) {
        assert_value(group.store, numbered(i), "late");
    }
    close_exact(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUP_TEST(waiting_writes_take_one_append_and_one_sync),
        GROUP_TEST(exclusive_handle_writes_groups),
        GROUP_TEST(unsynced_group_takes_one_append),
        GROUP_TEST(long_lines_are_written_by_themselves),
        GROUP_TEST(last_in_order_wins),
        GROUP_TEST(second_remove_in_a_group_finds_nothing),
        GROUP_TEST(index_grows_in_the_middle_of_a_group),
        GROUP_TEST(without_room_to_grow_known_keys_are_set),
        GROUP_TEST(without_room_to_rebuild_the_others_are_written),
        GROUP_TEST(sync_that_fails_in_the_middle_fails_the_group),
        GROUP_TEST(without_space_small_lines_are_written),
        GROUP_TEST(what_cannot_be_cut_off_fails_the_group),
        GROUP_TEST(failed_sync_fails_the_group),
        GROUP_TEST(failure_told_to_one_sync_fails_the_other),
        GROUP_TEST(impatient_writer_leaves_no_record),
        GROUP_TEST(get_in_doubt_is_busy_while_a_thread_writes),
        GROUP_TEST(failure_of_others_is_not_the_writers_last_error),
        GROUP_TEST(compaction_becomes_due_in_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
