/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: in each of the cases in
 * which they once did not, though it took a fault of the system, a death or a
 * forged index to show it. */

#include "any_status.h"
#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/system.h"
#include "store/pair.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- A system that fails once --- */

static struct {
    struct kv_io_table table;
    int fails_at; /* The call that fails, counted from 1; 0: none. */
    int calls;    /* Of the one that fails, or is counted. */
    int64_t now_ns;
} faulty;

static bool fails_now(void)
{
    faulty.calls++;
    if (faulty.calls != faulty.fails_at) {
        return false;
    }
    errno = EIO;
    return true;
}

static int faulty_fdatasync(int fd)
{
    return fails_now() ? -1 : kv_io_system_table()->fdatasync(fd);
}

static off_t faulty_file_end(int fd)
{
    return fails_now() ? -1 : kv_io_system_table()->file_end(fd);
}

static ssize_t faulty_pread(int fd, void *buffer, size_t size, off_t offset)
{
    return fails_now() ? -1
                       : kv_io_system_table()->pread(fd, buffer, size, offset);
}

static void begin_faults(int fails_at)
{
    faulty.table = *kv_io_system_table();
    faulty.fails_at = fails_at;
    faulty.calls = 0;
    kv_io_swap_table(&faulty.table);
}

static void end_faults(void)
{
    kv_io_swap_table(kv_io_system_table());
}

static int stop_faults(void **state)
{
    end_faults();
    return store_dir_tear_down(state);
}

#define MENDED_TEST(test) \
    cmocka_unit_test_setup_teardown(test, store_dir_set_up, stop_faults)

/* --- Values and files --- */

/* So many equal characters. The caller frees it. */
static char *long_value(size_t size)
{
    char *value = malloc(size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    value[size] = '\0';
    return value;
}

static void assert_verified(kvstore *store)
{
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
}

/* True if a file whose name begins so holds the text, before any NUL. */
static bool is_in_a_file(const struct store_dir *dir,
                         const char *begin,
                         const char *text)
{
    bool is_found = false;
    DIR *stream = opendir(dir->path);
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL;
         entry = readdir(stream)) {
        if (strncmp(entry->d_name, begin, strlen(begin)) == 0) {
            size_t size = 0;
            char *bytes = store_dir_read(dir, entry->d_name, &size);
            is_found |= strstr(bytes, text) != NULL;
            free(bytes);
        }
    }
    (void)closedir(stream);
    return is_found;
}

/* The place in store.index of a word of the totals. */
#define TOTAL_AT(member) \
    (HEADER_AT(totals) + offsetof(struct kv_table_totals, member))

/* --- A death, and a lost sync --- */

#define DIED 7

static void die_at_slot(const char *name)
{
    if (strcmp(name, "slot") == 0) {
        _exit(DIED);
    }
}

/* In a child: sets, and dies when the slot leads to the new record and the
 * totals do not count it. */
static void lose_setter(const struct store_dir *dir,
                        const char *key,
                        const char *value)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        kvstore *store = NULL;
        kvstore_options options = plain_options();
        if (kvstore_open(dir->path, &options, &store) == KVSTORE_OK) {
            begin_faults(0);
            faulty.table.step = die_at_slot;
            (void)try_set(store, key, value);
        }
        _exit(EXIT_FAILURE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == DIED);
}

/* The set was not acknowledged: it may have happened or not. */
static void assert_old_or_new(const kvstore *store, const char *key)
{
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_get(store, key, strlen(key), &value, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 3);
    assert_true(memcmp(value, "old", 3) == 0 || memcmp(value, "new", 3) == 0);
    kvstore_free(value);
}

static void death_while_publishing_and_a_lost_sync_lose_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "old");
    must_set(store, "other", "value");
    lose_setter(dir, "key", "new");
    begin_faults(1);
    faulty.table.fdatasync = faulty_fdatasync;
    assert_int_equal(kvstore_sync(store), KVSTORE_IO);
    end_faults();
    assert_old_or_new(store, "key");

    must_compact(store);

    assert_old_or_new(store, "key");
    assert_value(store, "other", "value");
    kvstore *next = open_plain(dir);
    assert_old_or_new(next, "key");
    assert_value(next, "other", "value");
    assert_int_equal(checked_stats(next).keys, 2);
    assert_verified(next);
    kvstore_close(next);
    kvstore_close(store);
}

/* --- Padding --- */

#define EXT4 0xef53
#define WARM_UP 80 /* Small sets after which there is padding. */
#define BIG_SIZE 100000
#define SMALL_SETS 10

static long ext4_type(int fd)
{
    (void)fd;
    return EXT4;
}

static void must_set_some(kvstore *store, int count)
{
    char key[32];
    for (int i = 0; i < count; i++) {
        name_key(key, sizeof key, i);
        must_set(store, key, value_of(i));
    }
}

static void assert_some(const kvstore *store, int count)
{
    char key[32];
    for (int i = 0; i < count; i++) {
        name_key(key, sizeof key, i);
        assert_value(store, key, value_of(i));
    }
}

/* Sets a value that is larger than the padding, while the log's end cannot be
 * asked for once. Returns whether it got so far. */
static bool try_lost_end(const struct store_dir *dir, int fails_at)
{
    kvstore_options options = plain_options();
    options.exclusive = true;
    char *big = long_value(BIG_SIZE);
    begin_faults(0);
    faulty.table.file_system_type = ext4_type;
    faulty.table.file_end = faulty_file_end;
    kvstore *store = open_with(dir, &options);
    must_set_some(store, WARM_UP);
    assert_true(kv_log_is_padded(&store->log));

    faulty.calls = 0;
    faulty.fails_at = fails_at;
    kvstore_status status = try_set(store, "big", big);
    bool has_failed = faulty.calls >= fails_at;
    faulty.fails_at = 0;

    assert_true(status == KVSTORE_OK || (has_failed && status == KVSTORE_IO));
    must_set_some(store, SMALL_SETS);
    for (int i = 0; i < 2; i++) {
        if (status == KVSTORE_OK) {
            assert_value(store, "big", big);
        } else {
            assert_absent(store, "big");
        }
        assert_some(store, WARM_UP);
        assert_verified(store);
        kvstore_close(store);
        store = open_plain(dir);
    }
    if (status == KVSTORE_OK) {
        must_remove(store, "big");
    }
    kvstore_close(store);
    end_faults();
    free(big);
    return has_failed;
}

static void padding_that_cannot_be_cut_fails_the_append(void **state)
{
    int fails_at = 1;
    while (try_lost_end(*state, fails_at)) {
        fails_at++;
    }
    assert_true(fails_at > 1);
}

/* --- An index that is not counted --- */

#define LONG_SIZE 5000 /* A slot does not tell the length of such a record. */

/* Opens a store without an index while one read fails. Returns whether there
 * were so many. */
static bool try_lost_read(const struct store_dir *dir,
                          int fails_at,
                          const kvstore_stats *expected)
{
    kvstore *store = NULL;
    kvstore_options options = plain_options();
    remove_index(dir);
    begin_faults(fails_at);
    faulty.table.pread = faulty_pread;
    kvstore_status status = kvstore_open(dir->path, &options, &store);
    bool has_failed = faulty.calls >= fails_at;
    end_faults();
    assert_true(status == KVSTORE_OK || (has_failed && status == KVSTORE_IO));
    for (int i = 0; i < 2; i++) {
        if (status == KVSTORE_OK) {
            kvstore_stats stats = checked_stats(store);
            assert_int_equal(stats.keys, expected->keys);
            assert_int_equal(stats.live_bytes, expected->live_bytes);
            assert_int_equal(stats.stale_bytes, expected->stale_bytes);
            assert_verified(store);
            kvstore_close(store);
        }
        status = KVSTORE_OK;
        store = open_plain(dir);
    }
    kvstore_close(store);
    return has_failed;
}

static void index_that_cannot_be_counted_is_not_used(void **state)
{
    const struct store_dir *dir = *state;
    int fails_at = 1;
    kvstore *store = open_plain(dir);
    char *value = long_value(LONG_SIZE);
    must_set(store, "key", value);
    must_set(store, "key", value);
    kvstore_stats expected = checked_stats(store);
    kvstore_close(store);
    assert_int_equal(expected.live_bytes, expected.stale_bytes);

    while (try_lost_read(dir, fails_at, &expected)) {
        fails_at++;
    }

    assert_true(fails_at > 1);
    free(value);
}

/* --- A log that rots, or grows, under a handle --- */

static void rebuild_within_a_write_mends_the_log_first(void **state)
{
    static const char lines[] =
        "{\"Set\":{\"key\":\"key\",\"val\":\"old\"}}\n"
        "{\"Set\":{\"key\":\"key\",\"val\":\"precious precious precious\","
        "\"expires\":9007199254740991}}\n";
    static const char rotted[] =
        "\"precious precious precious\",\"expires\":9007199254740991xx\n";
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, lines, sizeof lines - 1);
    kvstore *store = open_plain(dir);
    assert_value(store, "key", "precious precious precious");
    store_dir_overwrite(dir, KV_LOG_NAME, sizeof lines - 1 - 3, "xx", 2);

    any_status(kvstore_remove(store, "key", 3));

    assert_true(is_in_a_file(dir, KV_LOG_NAME, rotted));
    must_set(store, "next", "1");
    rest(20);
    must_set(store, "last", "2");
    assert_true(is_in_a_file(dir, KV_LOG_NAME, rotted));
    for (int i = 0; i < 2; i++) {
        assert_value(store, "next", "1");
        assert_value(store, "last", "2");
        kvstore_close(store);
        store = open_plain(dir);
    }
    kvstore_close(store);
}

static int64_t told_clock(void)
{
    return faulty.now_ns;
}

#define WHILE_NS INT64_C(40000000) /* The log may be looked at again. */

static void reads_do_not_put_off_the_look_at_the_log(void **state)
{
    const struct store_dir *dir = *state;
    begin_faults(0);
    faulty.now_ns = faulty.table.clock_coarse_ns();
    faulty.table.clock_coarse_ns = told_clock;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    faulty.now_ns += WHILE_NS;
    append_by_hand(dir, "by hand");
    faulty.now_ns += WHILE_NS;
    assert_value(store, "key", "1");

    must_set(store, "next", "2");

    assert_value(store, "hand", "by hand");
    assert_true(is_in_a_file(dir, KV_LOG_NAME, "by hand"));
    assert_value(store, "next", "2");
    assert_int_equal(checked_stats(store).keys, 3);
    assert_verified(store);
    kvstore_close(store);
    end_faults();
}

/* --- A header that is forged --- */

/* Has the totals, and the log that is whole, end within the last line, as after
 * a writer that was appending it; no line is said to be the last. */
static void forge_totals_within(const struct store_dir *dir,
                                uint64_t start,
                                uint64_t applied)
{
    uint64_t size = load_header_word(dir, TOTAL_AT(applied));
    uint64_t live = load_header_word(dir, TOTAL_AT(counts.live_bytes));
    assert_true(start < applied && applied < size);
    store_header_word(
        dir, TOTAL_AT(counts.live_bytes), live - (size - applied));
    store_header_word(dir, TOTAL_AT(applied), applied);
    store_header_word(dir, HEADER_AT(end), applied);
    store_header_word(dir, TOTAL_AT(last.offset), 0);
    store_header_word(dir, TOTAL_AT(last.length), 0);
    store_header_word(dir, HEADER_AT(writing), KV_TABLE_APPENDING);
}

static void totals_within_a_line_are_not_believed(void **state)
{
    const struct store_dir *dir = *state;
    for (uint64_t within = 1; within < 24; within++) {
        kvstore *store = open_plain(dir);
        must_set(store, "A", "1");
        must_set(store, "B", "2");
        uint64_t start = store_dir_file_size(dir, KV_LOG_NAME);
        must_set(store, "C", "the third");
        kvstore_close(store);
        size_t size = 0;
        char *before = store_dir_read(dir, KV_LOG_NAME, &size);
        forge_totals_within(dir, start, start + within);
        store = open_plain(dir);

        must_set(store, "D", "4");

        assert_value(store, "C", "the third");
        assert_value(store, "D", "4");
        size_t size_after = 0;
        char *after = store_dir_read(dir, KV_LOG_NAME, &size_after);
        assert_true(size_after > size);
        assert_memory_equal(after, before, size);
        assert_int_equal(checked_stats(store).keys, 4);
        assert_verified(store);
        kvstore_close(store);
        free(before);
        free(after);
    }
}

static void newer_records_that_are_none_are_not_believed(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "A", "1");
    kvstore_close(store);
    store_header_word(dir, TOTAL_AT(counts.unknown_records), 1);
    store_header_word(dir, TOTAL_AT(counts.unknown_offset), 0);
    store = open_plain(dir);

    must_set(store, "B", "2");

    must_remove(store, "A");
    must_compact(store);
    assert_absent(store, "A");
    assert_value(store, "B", "2");
    assert_verified(store);
    kvstore_close(store);
}

/* --- Slots that are forged --- */

/* All slots but the last few have the same home, the first bucket; and so many
 * are said to be in use that the table must grow. */
static void crowd_slots(const struct store_dir *dir)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table;
    assert_true(kv_table_attach(bytes, size, &table));
    uint64_t count = kv_table_slot_count(&table);
    uint64_t empty_from = count - (uint64_t)2 * KV_TABLE_BUCKET_SLOTS;
    for (uint64_t i = 0; i < count; i++) {
        atomic_store(&table.words[i * 2], i < empty_from ? 1 : 0);
        atomic_store(&table.words[i * 2 + 1], 0);
    }
    uint64_t room = kv_table_room(&table);
    store_dir_write(dir, KV_INDEX_NAME, bytes, size);
    store_header_word(dir, TOTAL_AT(slots_used), room);
    free(bytes);
}

static void slots_that_crowd_have_the_index_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    append_many_by_hand(dir);
    kvstore *store = open_plain(dir);
    kvstore_close(store);
    crowd_slots(dir);
    store = open_plain(dir);

    must_set(store, "new", "value");

    assert_many(store);
    assert_value(store, "new", "value");
    assert_int_equal(checked_stats(store).keys, MANY_KEYS + 1);
    kvstore_close(store);
}

/* The same where a line that was appended by hand, without its newline, makes it
 * grow. */
static void slots_that_crowd_are_left_by_a_fold_too(void **state)
{
    static const char line[] =
        "{\"Set\":{\"key\":\"by hand\",\"val\":\"value\"}}";
    const struct store_dir *dir = *state;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    append_many_by_hand(dir);
    kvstore *store = open_plain(dir);
    kvstore_close(store);
    crowd_slots(dir);
    store_dir_append(dir, KV_LOG_NAME, line, sizeof line - 1);

    store = open_plain(dir);

    assert_many(store);
    assert_value(store, "by hand", "value");
    must_set(store, "new", "value");
    assert_verified(store);
    assert_int_equal(checked_stats(store).keys, MANY_KEYS + 2);
    kvstore_close(store);
}

/* --- A handle that has no pair yet --- */

/* Another thread of the handle is about to install the first one, and has just
 * looked at the names. */
static void handle_without_a_pair_is_not_up_to_date(void **state)
{
    (void)state;
    struct kvstore store = {.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    atomic_store(&store.checked_ns, kv_io_clock_coarse_ns());

    assert_false(kv_store_is_surely_up(&store));
}

#define HOLE_SIZE (UINT64_C(4) << 30)
#define READS_MAX 100

/* Writes a log of two records, and nothing but a hole between them. */
static void write_holey_log(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char *value = long_value(LONG_SIZE);
    log_text_set(&text, "key", value);
    store_dir_write(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    log_text_add(&text, "\n");
    log_text_set(&text, "last", "1");
    store_dir_overwrite(dir, KV_LOG_NAME, HOLE_SIZE, text.bytes, text.size);
    log_text_release(&text);
    free(value);
}

/* The slot says that the record is long, but not how long. What the set finds
 * puts the index in doubt: the next write builds it anew. */
static void long_record_in_a_hole_is_measured_at_once(void **state)
{
    const struct store_dir *dir = *state;
    write_holey_log(dir);
    kvstore *store = open_plain(dir);
    struct stored_slot slot = find_slot(dir, "key");
    assert_true(kv_table_is_long(&slot.entry));
    slot.entry.pointer.offset += 8192;
    store_slot(dir, &slot);
    begin_faults(0);
    faulty.table.pread = faulty_pread;

    must_set(store, "key", "2");

    end_faults();
    assert_true(faulty.calls < READS_MAX);
    assert_value(store, "key", "2");
    assert_value(store, "last", "1");
    must_set(store, "next", "3");
    for (int i = 0; i < 2; i++) {
        assert_value(store, "key", "2");
        assert_value(store, "last", "1");
        assert_value(store, "next", "3");
        assert_int_equal(checked_stats(store).keys, 3);
        kvstore_close(store);
        store = open_plain(dir);
    }
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MENDED_TEST(death_while_publishing_and_a_lost_sync_lose_nothing),
        MENDED_TEST(padding_that_cannot_be_cut_fails_the_append),
        MENDED_TEST(index_that_cannot_be_counted_is_not_used),
        MENDED_TEST(rebuild_within_a_write_mends_the_log_first),
        MENDED_TEST(reads_do_not_put_off_the_look_at_the_log),
        MENDED_TEST(totals_within_a_line_are_not_believed),
        MENDED_TEST(newer_records_that_are_none_are_not_believed),
        MENDED_TEST(slots_that_crowd_have_the_index_built_anew),
        MENDED_TEST(slots_that_crowd_are_left_by_a_fold_too),
        MENDED_TEST(handle_without_a_pair_is_not_up_to_date),
        MENDED_TEST(long_record_in_a_hole_is_measured_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
