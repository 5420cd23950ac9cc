/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: with more keys than the
 * index has room for, and with many. */

#include "index/apply.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/system.h"
#include "store/handle.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY_KEYS 106496

static void name_key(char *key, size_t size, int number)
{
    (void)snprintf(key, size, "key-%d", number);
}

/* Writes a log in which each key is set so many times. */
static void write_log(const struct store_dir *dir, int keys, int times)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char key[32];
    for (int i = 0; i < keys * times; i++) {
        name_key(key, sizeof key, i % keys);
        log_text_set(&text, key, i / keys == times - 1 ? "last" : "early");
    }
    store_dir_write_log(dir, &text);
    log_text_release(&text);
}

static void assert_all(const kvstore *store, int keys)
{
    char key[32];
    for (int i = 0; i < keys; i += 7) {
        name_key(key, sizeof key, i);
        assert_value(store, key, "last");
    }
}

static int log_reads;

static ssize_t counted_pread(int fd, void *buffer, size_t size, off_t offset)
{
    log_reads++;
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

/* The new one has the old one's secret and state, and was made of its slots
 * alone. */
static void full_index_grows_by_half_and_reads_no_log(void **state)
{
    const struct store_dir *dir = *state;
    write_log(dir, MANY_KEYS, 1);
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    struct kv_table old = store->index.table;
    uint64_t inode = store->index.memory.inode;
    char key[32];
    int number = MANY_KEYS;
    do {
        name_key(key, sizeof key, number++);
        must_set(store, key, "last");
    } while (kv_index_has_room(&store->index, 1));
    struct kv_io_table table = *kv_io_system_table();
    table.pread = counted_pread;
    log_reads = 0;
    kv_io_swap_table(&table);

    must_set(store, "one more", "value");

    kv_io_swap_table(kv_io_system_table());
    const struct kv_table *grown = &store->index.table;
    assert_int_equal(log_reads, 0);
    assert_int_not_equal(store->index.memory.inode, inode);
    assert_int_equal(grown->bucket_count,
                     old.bucket_count + old.bucket_count / 2);
    assert_memory_equal(&grown->secret, &old.secret, sizeof old.secret);
    assert_int_equal(kv_table_writing(grown), KV_TABLE_AT_REST);
    assert_all(store, number);
    assert_all(other, number);
    assert_value(other, "one more", "value");
    kvstore_close(store);
    kvstore_close(other);
}

static void index_of_a_stale_log_fits_its_keys(void **state)
{
    const struct store_dir *dir = *state;
    write_log(dir, 1000, 100);

    kvstore *store = open_plain(dir);

    kvstore_stats stats = checked_stats(store);
    assert_int_equal(stats.keys, 1000);
    assert_true(stats.index_bytes <=
                26 * stats.keys + 2 * (uint64_t)KV_TABLE_HEADER_SIZE);
    assert_all(store, 1000);
    kvstore_close(store);
}

/* Sanitizers keep account of a process's memory, and need more. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_MEMORY_WATCHED true
#else
#define IS_MEMORY_WATCHED false
#endif

/* Returns how many kilobytes of memory this process shares with no other and no
 * file. */
static long anonymous_kb(void)
{
    char line[256];
    long sum = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *digits = line + strlen("Anonymous:");
        if (strncmp(line, "Anonymous:", strlen("Anonymous:")) == 0) {
            sum = strtol(digits, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sum;
}

/* The index of these keys takes 2 MiB. */
static void open_store_has_little_memory_of_its_own(void **state)
{
    const struct store_dir *dir = *state;
    write_log(dir, MANY_KEYS, 1);
    kvstore_close(open_plain(dir));
    long before_kb = anonymous_kb();
    if (before_kb < 0 || IS_MEMORY_WATCHED) {
        skip(); /* Or there is no /proc. */
    }

    kvstore *store = open_plain(dir);
    assert_all(store, MANY_KEYS);
    for (int i = 0; i < 1000; i++) {
        must_set(store, "key-1", "last");
    }

    assert_true(checked_stats(store).index_bytes >= (uint64_t)1 << 20);
    assert_true(anonymous_kb() - before_kb < 512);
    kvstore_close(store);
}

static void note_progress(void *context, uint64_t done, uint64_t total)
{
    uint64_t *told = context;
    assert_true(done > told[0]);
    assert_true(done <= total);
    told[0] = done;
    told[1] = total;
    told[2]++;
}

static void long_pass_tells_its_progress(void **state)
{
    const struct store_dir *dir = *state;
    write_log(dir, MANY_KEYS, 4);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    uint64_t told[3] = {0};
    kvstore_options options = plain_options();
    options.progress = note_progress;
    options.progress_context = told;

    kvstore *store = open_with(dir, &options);

    assert_int_equal(told[1], size);
    assert_in_range(told[2], 1, size >> 20);
    assert_all(store, MANY_KEYS);
    kvstore_close(store);
    told[2] = 0;
    kvstore_close(open_with(dir, &options));
    assert_int_equal(told[2], 0); /* The index is there. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(full_index_grows_by_half_and_reads_no_log),
        STORE_TEST(index_of_a_stale_log_fits_its_keys),
        STORE_TEST(open_store_has_little_memory_of_its_own),
        STORE_TEST(long_pass_tells_its_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
