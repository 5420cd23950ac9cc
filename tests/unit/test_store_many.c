/* SPDX-License-Identifier: MIT */

/* Does kvstore_get_many() say of each key what kvstore_get() says, and
 * otherwise do what kvstore.h promises? */

#include "index/file.h"
#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 400
#define ITEMS 1000
#define NAME_SIZE 16
#define LONG_SIZE 100000

static const size_t batches[] = {0, 1, 2, 15, 16, 17, 33, ITEMS};
#define BATCHES (sizeof batches / sizeof *batches)

/* --- A store with a bit of everything --- */

static void add_foreign_lines(struct log_text *text, int number)
{
    char line[128];
    (void)snprintf(line,
                   sizeof line,
                   "{ \"Set\": {\"value\": \"foreign\", \"key\": \"k%d\"} }\n",
                   number);
    log_text_add(text, line);
    if (number % 3 == 0) {
        (void)snprintf(line, sizeof line, "k%d", number);
        log_text_unknown(text, line);
    }
}

/* What is done to a key depends on its number. has_damage: some lines are
 * damaged, or of a newer version. */
static void write_mixed_log(const struct store_dir *dir, bool has_damage)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char *value = malloc(LONG_SIZE + 1);
    assert_non_null(value);
    memset(value, 'v', LONG_SIZE);
    value[LONG_SIZE] = '\0';
    for (int i = 0; i < KEYS; i++) {
        char key[NAME_SIZE];
        (void)snprintf(key, sizeof key, "k%d", i);
        log_text_set(&text, key, key);
        if (i % 7 == 0) {
            log_text_remove(&text, key);
        } else if (i % 11 == 0) {
            log_text_set(&text, key, i % 2 == 0 ? "" : value);
        } else if (has_damage && i % 13 == 0) {
            log_text_damaged_set(&text, key, "damaged");
        } else if (has_damage && i % 17 == 0) {
            add_foreign_lines(&text, i);
        } else if (has_damage && i % 19 == 0) {
            log_text_batch_set(&text, key, "half a batch", 2);
        }
    }
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    free(value);
}

/* --- The same answers --- */

struct wanted {
    kvstore_item items[ITEMS];
    char names[ITEMS][NAME_SIZE];
};

/* Makes keys that exist, that do not, that are invalid, and some of them
 * twice. */
static struct wanted *make_wanted(void)
{
    static const char long_key[KVSTORE_KEY_SIZE_MAX + 1] = "k1";
    struct wanted *wanted = calloc(1, sizeof *wanted);
    assert_non_null(wanted);
    unsigned seed = 1;
    for (int i = 0; i < ITEMS; i++) {
        seed = seed * 1103515245U + 12345U;
        kvstore_item *item = &wanted->items[i];
        int size = snprintf(wanted->names[i],
                            NAME_SIZE,
                            "k%u",
                            (seed >> 16) % (KEYS + KEYS / 4));
        *item = (kvstore_item){.key = wanted->names[i],
                               .key_size = (size_t)size,
                               /* Ignored. */
                               .value = wanted,
                               .value_size = 99,
                               .status = KVSTORE_CONFLICT};
        if (i % 50 == 12) {
            item->key_size = 0;
        } else if (i % 50 == 22) {
            item->key = long_key;
            item->key_size = i % 4 == 0 ? sizeof long_key : sizeof long_key - 1;
        } else if (i % 50 == 32) {
            item->key = NULL;
        }
    }
    return wanted;
}

static void assert_same(const kvstore *store, const kvstore_item *item)
{
    void *value = NULL;
    size_t size = 9;
    kvstore_status status =
        kvstore_get(store, item->key, item->key_size, &value, &size);
    assert_int_equal(item->status, status);
    assert_int_equal(item->value_size, size);
    if (status == KVSTORE_OK) {
        assert_non_null(item->value);
        assert_memory_equal(item->value, value, size + 1);
    } else {
        assert_null(item->value);
    }
    kvstore_free(value);
}

/* Gets many keys first, so that kvstore_get() does not do its work. Counts how
 * many had each status. */
static void assert_batch_agrees(const kvstore *store,
                                size_t count,
                                size_t counts[KVSTORE_UNSUPPORTED + 1])
{
    struct wanted *wanted = make_wanted();
    memset(counts, 0, (KVSTORE_UNSUPPORTED + 1) * sizeof *counts);
    assert_int_equal(kvstore_get_many(store, wanted->items, count), KVSTORE_OK);
    for (size_t i = 0; i < count; i++) {
        assert_same(store, &wanted->items[i]);
        counts[wanted->items[i].status]++;
        kvstore_free(wanted->items[i].value);
    }
    for (size_t i = count; i < ITEMS; i++) {
        assert_ptr_equal(wanted->items[i].value, wanted);
        assert_int_equal(wanted->items[i].status, KVSTORE_CONFLICT);
    }
    free(wanted);
}

/* Opens the store anew for each batch: the first lines that a handle reads are
 * not in memory. */
static void assert_agrees(const struct store_dir *dir,
                          const kvstore_options *options,
                          bool has_damage)
{
    size_t counts[KVSTORE_UNSUPPORTED + 1];
    for (size_t i = 0; i < BATCHES; i++) {
        kvstore *store = open_with(dir, options);
        assert_batch_agrees(store, batches[i], counts);
        assert_batch_agrees(store, ITEMS, counts);
        kvstore_close(store);
    }
    assert_true(counts[KVSTORE_OK] > 0 && counts[KVSTORE_NOT_FOUND] > 0);
    assert_int_equal(counts[KVSTORE_INVALID_KEY], 30);
    assert_int_equal(counts[KVSTORE_INVALID], 20);
    assert_int_equal(counts[KVSTORE_CORRUPT] > 0, has_damage);
    assert_int_equal(counts[KVSTORE_UNSUPPORTED] > 0, has_damage);
}

static void answers_are_those_of_get(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    for (int has_damage = 0; has_damage < 2; has_damage++) {
        write_mixed_log(dir, has_damage != 0);
        (void)unlink(store_dir_path(dir, KV_INDEX_NAME));
        for (int is_exclusive = 0; is_exclusive < 2; is_exclusive++) {
            options.exclusive = is_exclusive != 0;
            options.sync =
                options.exclusive ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
            assert_agrees(dir, &options, has_damage != 0);
        }
    }
}

static void read_only_handle_gives_the_same_answers(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    write_mixed_log(dir, true);
    options.read_only = true;

    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    assert_agrees(dir, &options, true); /* In private memory. */
    assert_false(store_dir_has(dir, KV_INDEX_NAME));

    kvstore_close(open_plain(dir));
    assert_true(store_dir_has(dir, KV_INDEX_NAME));
    assert_agrees(dir, &options, true);
}

static void lines_that_rot_are_found_out(void **state)
{
    const struct store_dir *dir = *state;
    size_t counts[KVSTORE_UNSUPPORTED + 1];
    write_mixed_log(dir, false);
    kvstore *store = open_plain(dir);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    assert_batch_agrees(store, ITEMS, counts);

    for (uint64_t at = 100; at < size; at += size / 50) {
        store_dir_overwrite(dir, KV_LOG_NAME, at, "\x01", 1);
    }

    assert_batch_agrees(store, ITEMS, counts);
    assert_true(counts[KVSTORE_CORRUPT] > 0);
    assert_batch_agrees(store, ITEMS, counts);
    kvstore_close(store);
}

/* Slots that lead to lines of other keys, or into the middle of a line. */
static void lying_index_gives_the_same_answers(void **state)
{
    const struct store_dir *dir = *state;
    size_t counts[KVSTORE_UNSUPPORTED + 1];
    write_mixed_log(dir, false);
    kvstore *store = open_plain(dir);
    kvstore *writer = open_plain(dir);
    assert_batch_agrees(store, ITEMS, counts);
    size_t found = counts[KVSTORE_OK];
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);

    for (uint64_t at = KV_TABLE_HEADER_SIZE + 8; at < size; at += 48) {
        store_dir_overwrite(dir, KV_INDEX_NAME, at, "\x07\x01\x01", 3);
    }

    assert_batch_agrees(store, ITEMS, counts);
    assert_true(counts[KVSTORE_OK] <= found);
    must_set(writer, "k7", "new");
    must_compact(writer);
    assert_batch_agrees(store, ITEMS, counts);
    kvstore_close(writer);
    kvstore_close(store);
}

/* --- The call as a whole --- */

static void what_was_written_before_is_seen(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    for (int i = 0; i < 200; i++) {
        char value[NAME_SIZE];
        (void)snprintf(value, sizeof value, "%d", i);
        must_set(i % 2 == 0 ? store : other, "a", value);
        if (i % 50 == 30) {
            must_compact(other);
        }
        kvstore_item items[] = {{.key = "b", .key_size = 1},
                                {.key = "a", .key_size = 1}};
        assert_int_equal(kvstore_get_many(store, items, 2), KVSTORE_OK);
        assert_int_equal(items[0].status, KVSTORE_NOT_FOUND);
        assert_int_equal(items[1].status, KVSTORE_OK);
        assert_string_equal(items[1].value, value);
        kvstore_free(items[1].value);
    }
    kvstore_close(other);
    kvstore_close(store);
}

static void wrong_arguments_are_refused(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore_item item = {.key = "a", .key_size = 1, .value = &item};

    assert_int_equal(kvstore_get_many(store, NULL, 0), KVSTORE_OK);
    assert_int_equal(kvstore_get_many(store, NULL, 1), KVSTORE_INVALID);
    assert_int_equal(kvstore_get_many(NULL, &item, 1), KVSTORE_INVALID);
    assert_int_equal(item.status, KVSTORE_INVALID);
    assert_null(item.value);
    kvstore_close(store);
}

static void child_of_fork_is_refused(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");

    pid_t child = fork();
    if (child == 0) {
        kvstore_item item = {.key = "a", .key_size = 1};
        bool is_refused =
            kvstore_get_many(store, &item, 1) == KVSTORE_INVALID &&
            item.status == KVSTORE_INVALID && item.value == NULL;
        _exit(is_refused ? 0 : 1);
    }

    int result = 1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    kvstore_close(store);
}

/* --- Failures --- */

static struct {
    struct kv_io_table table;
    int64_t now_ns;
    int calls_left; /* Good ones before the call that fails. */
} failing;

/* Makes each group check the names. */
static int64_t hasty_clock(void)
{
    failing.now_ns += 20000000;
    return failing.now_ns;
}

static int failing_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    if (failing.calls_left-- <= 0) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fstatat(dir_fd, name, stat_out);
}

static void *failing_malloc(size_t size)
{
    return failing.calls_left-- == 0 ? NULL : malloc(size);
}

static kvstore *open_to_fail(const struct store_dir *dir)
{
    write_mixed_log(dir, false);
    kvstore *store = open_plain(dir);
    assert_int_equal(try_get(store, "k1"), KVSTORE_OK);
    failing.table = *kv_io_system_table();
    failing.now_ns = failing.table.clock_coarse_ns();
    return store;
}

static void failure_in_the_middle_leaves_no_value(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_to_fail(dir);
    failing.table.clock_coarse_ns = hasty_clock;
    failing.table.fstatat = failing_fstatat;
    kv_io_swap_table(&failing.table);
    struct wanted *wanted = make_wanted();
    kvstore_status status = KVSTORE_IO;
    int failures = 0;

    for (int good = 0; status == KVSTORE_IO; good++) {
        failing.calls_left = good;
        status = kvstore_get_many(store, wanted->items, 100);
        for (int i = 0; status != KVSTORE_OK && i < 100; i++) {
            assert_int_equal(wanted->items[i].status, status);
            assert_null(wanted->items[i].value);
            assert_int_equal(wanted->items[i].value_size, 0);
        }
        failures += status == KVSTORE_OK ? 0 : 1;
    }

    assert_int_equal(status, KVSTORE_OK);
    assert_true(failures >= 14); /* Two names in each of seven groups. */
    kv_io_swap_table(kv_io_system_table());
    for (int i = 0; i < 100; i++) {
        assert_same(store, &wanted->items[i]);
        kvstore_free(wanted->items[i].value);
    }
    free(wanted);
    kvstore_close(store);
}

static void value_without_memory_is_its_own_failure(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_to_fail(dir);
    failing.table.malloc = failing_malloc;
    kvstore_item items[] = {{.key = "k1", .key_size = 2},
                            {.key = "k2", .key_size = 2},
                            {.key = "k3", .key_size = 2}};
    failing.calls_left = 1;
    kv_io_swap_table(&failing.table);

    assert_int_equal(kvstore_get_many(store, items, 3), KVSTORE_OK);

    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(items[1].status, KVSTORE_NO_MEMORY);
    assert_null(items[1].value);
    assert_same(store, &items[0]);
    assert_same(store, &items[2]);
    kvstore_free(items[0].value);
    kvstore_free(items[2].value);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(answers_are_those_of_get),
        STORE_TEST(read_only_handle_gives_the_same_answers),
        STORE_TEST(lines_that_rot_are_found_out),
        STORE_TEST(lying_index_gives_the_same_answers),
        STORE_TEST(what_was_written_before_is_seen),
        STORE_TEST(wrong_arguments_are_refused),
        STORE_TEST(child_of_fork_is_refused),
        STORE_TEST(failure_in_the_middle_leaves_no_value),
        STORE_TEST(value_without_memory_is_its_own_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
