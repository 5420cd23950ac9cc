/* SPDX-License-Identifier: MIT */

/* Does store/compaction.c do what its header promises? A log made from a text
 * is compacted and compared with another text, byte for byte. */

#include "compaction_run.h"
#include "index/build.h"
#include "log/successor.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/lock.h"
#include "store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- When --- */

static bool is_due(uint64_t stale,
                   uint64_t tombstones,
                   uint64_t damaged_records,
                   uint64_t log_size)
{
    struct kv_table_counts counts = {.stale_bytes = stale,
                                     .tombstone_bytes = tombstones,
                                     .damaged_records = damaged_records};
    const struct kv_compaction_terms terms = {
        .threshold_bytes = 1000, .threshold_percent = 50, .kept = log_size};
    return kv_compaction_is_due(&counts, log_size, &terms);
}

static void due_needs_both_bytes_and_share(void **state)
{
    (void)state;
    assert_false(is_due(0, 0, 0, 0));
    assert_false(is_due(999, 0, 0, 1000));
    assert_true(is_due(1000, 0, 0, 1000));
    assert_true(is_due(1000, 0, 0, 2000));
    assert_false(is_due(1000, 0, 0, 2001));
    assert_true(is_due(UINT64_C(1) << 43, 0, 0, UINT64_C(1) << 44));
}

static void removes_do_not_count_while_there_is_damage(void **state)
{
    (void)state;
    assert_true(is_due(1000, 1000, 0, 1000));
    assert_false(is_due(1000, 1, 1, 1000));
    assert_true(is_due(1001, 1, 1, 1000));
}

/* --- What --- */

struct pair {
    struct kv_log log;
    struct kv_index index;
};

static struct pair open_pair(const struct store_dir *dir)
{
    struct pair pair;
    struct kv_fold_result result;
    assert_int_equal(kv_log_open(&dir->directory, true, &pair.log), KVSTORE_OK);
    assert_int_equal(kv_build_index(&pair.log,
                                    store_dir_file_size(dir, KV_LOG_NAME),
                                    NULL,
                                    NULL,
                                    &pair.index,
                                    &result),
                     KVSTORE_OK);
    return pair;
}

static void close_pair(struct pair *pair)
{
    kv_index_release(&pair->index);
    kv_log_close(&pair->log);
}

/* Writes the new log and gives it the old one's name. */
static kvstore_status run(const struct store_dir *dir,
                          const struct pair *old,
                          struct pair *new_out)
{
    kvstore_status status = compaction_run(&dir->directory,
                                           &old->log,
                                           &old->index,
                                           &new_out->log,
                                           &new_out->index);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_successor_rename(&dir->directory, &new_out->log);
    if (status != KVSTORE_OK) {
        kv_successor_discard(&dir->directory, &new_out->log);
        kv_index_release(&new_out->index);
    }
    return status;
}

/* Compacts, and compares the new index with one that is built from the new
 * log. */
static void compact(const struct store_dir *dir)
{
    struct pair old = open_pair(dir);
    struct pair new;
    assert_int_equal(run(dir, &old, &new), KVSTORE_OK);
    struct pair fresh = open_pair(dir);
    const struct kv_table_totals *made = &new.index.totals;
    const struct kv_table_totals *built = &fresh.index.totals;
    assert_memory_equal(&made->counts, &built->counts, sizeof made->counts);
    assert_int_equal(made->applied, built->applied);
    assert_int_equal(made->slots_used, built->slots_used);
    assert_int_equal(made->damage_slots, built->damage_slots);
    assert_int_equal(made->follows, built->follows);
    assert_int_equal(made->counts.keys, old.index.totals.counts.keys);
    assert_int_equal(made->compactions, old.index.totals.compactions + 1);
    assert_int_equal(new.log.inode, fresh.log.inode);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&old);
    close_pair(&new);
    close_pair(&fresh);
}

/* Releases both texts. */
static void assert_compacts(void **state,
                            struct log_text *from,
                            struct log_text *to)
{
    const struct store_dir *dir = *state;
    store_dir_write_log(dir, from);

    compact(dir);

    store_dir_assert_log(dir, to);
    log_text_release(from);
    log_text_release(to);
}

static void empty_log_stays_empty(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    assert_compacts(state, &from, &to);
}

static void newest_sets_are_kept_in_order(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_set(&from, "a", "1");
    log_text_set(&from, "b", "1");
    log_text_add(&from, "\n \t\n");
    log_text_set(&from, "c", "1");
    log_text_set(&from, "a", "2");
    log_text_remove(&from, "c");
    log_text_remove(&from, "never");
    log_text_set(&to, "b", "1");
    log_text_set(&to, "a", "2");
    assert_compacts(state, &from, &to);
}

static void foreign_layouts_are_kept_byte_for_byte(void **state)
{
    static const char kept[] =
        " { \"Set\" : { \"val\" : \"1\" , \"key\" : \"a\" , \"x\":[1] } } \r\n"
        "{\"Set\":{\"key\":\"b\",\"value\":\"\\u0041\"}}\n"
        "{\"Set\":{\"key64\":\"//4=\",\"val64\":\"AAA=\"}}\n"
        "{\"other\":{},\"Set\":{\"key\":\"c\",\"val\":\"\"}}\n";
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_set(&from, "b", "old");
    log_text_add(&from, kept);
    log_text_add(&to, kept);
    assert_compacts(state, &from, &to);
}

static void unreachable_keys_are_kept(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_set(&from, "a", "1");
    for (int i = 0; i < 2; i++) {
        log_text_add(&from, "{\"Set\":{\"key\":\"\",\"val\":\"1\"}}\n");
        log_text_add(&from, "{\"Remove\":{\"key\":\"");
        log_text_fill(&from, 'k', 70000);
        log_text_add(&from, "\"}}\n");
    }
    log_text_add_bytes(&to, from.bytes, from.size);
    assert_compacts(state, &from, &to);
}

static void damage_is_kept_at_its_place(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_set(&from, "a", "1");
    log_text_add(&from, "garbage\n");
    log_text_fill(&from, '\0', 4096);
    log_text_set(&from, "b", "1");
    log_text_damaged_set(&from, "c", "1");
    log_text_set(&from, "a", "2");
    log_text_add(&to, "garbage\n");
    log_text_fill(&to, '\0', 4096);
    log_text_set(&to, "b", "1");
    log_text_damaged_set(&to, "c", "1");
    log_text_set(&to, "a", "2");
    assert_compacts(state, &from, &to);
}

static void garbage_of_twenty_megabytes_is_kept(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_fill(&from, 'x', (size_t)20 << 20);
    log_text_add(&from, "\n");
    log_text_set(&from, "a", "1");
    log_text_add_bytes(&to, from.bytes, from.size);
    log_text_set(&from, "b", "1");
    log_text_remove(&from, "b");
    log_text_remove(&to, "b");
    assert_compacts(state, &from, &to);
}

static void newest_removes_are_kept_while_there_is_damage(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_add(&from, "garbage\n");
    log_text_set(&from, "a", "1");
    log_text_remove(&from, "a");
    log_text_remove(&from, "a");
    log_text_remove(&from, "b");
    log_text_set(&from, "b", "1");
    log_text_add(&to, "garbage\n");
    log_text_remove(&to, "a");
    log_text_set(&to, "b", "1");
    assert_compacts(state, &from, &to);
}

static void batches_lose_their_member(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_batch_set(&from, "a", "1", 3);
    log_text_batch_remove(&from, "b", 2);
    log_text_batch_set(&from, "c", "1", 1);
    log_text_add(&from,
                 "{\"Set\":{\"key\":\"d\",\"batch\":1,\"val\":\"\\n\"}}\n");
    log_text_set(&to, "a", "1");
    log_text_set(&to, "c", "1");
    log_text_set(&to, "d", "\\n");
    assert_compacts(state, &from, &to);
}

/* No call of the library can name such a key; another program may have written
 * one. */
static void batch_with_an_empty_key_loses_its_member(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_batch_set(&from, "a", "1", 2);
    log_text_batch_set(&from, "", "1", 1);
    log_text_set(&from, "z", "1");
    log_text_set(&to, "a", "1");
    log_text_set(&to, "", "1");
    log_text_set(&to, "z", "1");
    assert_compacts(state, &from, &to);
}

static void broken_batches_are_kept_as_they_are(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_batch_set(&from, "a", "1", 3);
    log_text_batch_set(&from, "b", "1", 2);
    log_text_set(&from, "z", "0");
    log_text_set(&from, "z", "1");
    log_text_batch_set(&to, "a", "1", 3);
    log_text_batch_set(&to, "b", "1", 2);
    log_text_set(&to, "z", "1");
    assert_compacts(state, &from, &to);
}

/* Folds the new log again: it must come to what the compaction counted. */
static void assert_counted_anew(const struct store_dir *dir,
                                const struct pair *new)
{
    struct pair built = open_pair(dir);
    const struct kv_table_counts *a = &new->index.totals.counts;
    const struct kv_table_counts *b = &built.index.totals.counts;
    assert_memory_equal(a, b, sizeof *a);
    assert_int_equal(new->index.totals.applied, built.index.totals.applied);
    close_pair(&built);
}

/* The key of a damaged line that NULs cut short, and the key of a line that
 * begins with a space, must not end up in one line. */
static void damaged_lines_do_not_grow_together(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"k2\",\"val\":\"old\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"k1\",\"val\":\"xx");
    log_text_fill(&text, '\0', 2);
    log_text_add(&text, "{\"Set\":{\"key\":\"k3\",\"val\":\"a\"}}\n");
    log_text_add(&text, " {\"Set\":{\"key\":\"k2\",\"val\":1}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"k3\",\"val\":\"b\"}}\n");
    store_dir_write_log(dir, &text);
    struct pair old = open_pair(dir);
    struct pair new;

    assert_int_equal(run(dir, &old, &new), KVSTORE_OK);

    assert_int_equal(new.index.totals.counts.damaged_records, 2);
    assert_counted_anew(dir, &new);
    log_text_release(&text);
    close_pair(&old);
    close_pair(&new);
}

/* A closed last line after a run of NULs can move to the start of a sector: as
 * if a power cut had taken its first bytes. */
static void assert_last_line_stays_closed(const struct store_dir *dir,
                                          size_t most,
                                          const char *first)
{
    for (size_t nuls = 1; nuls <= most; nuls++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "first", first);
        size_t stale = log_text_set(&text, "a", "1");
        stale = log_text_set(&text, "a", "2") - stale;
        log_text_fill(&text, '\0', nuls);
        size_t at =
            log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":1}}\n");
        bool is_torn = at % 512 == 0; /* In the old log. */
        bool begins_sector = (at - stale) % 512 == 0;
        if (is_torn || (first[0] != '\0' && !begins_sector)) {
            log_text_release(&text);
            continue;
        }
        store_dir_write_log(dir, &text);
        struct pair old = open_pair(dir);
        struct pair new;

        assert_int_equal(run(dir, &old, &new), KVSTORE_OK);

        assert_int_equal(new.index.totals.counts.damaged_records, 2);
        assert_counted_anew(dir, &new);
        log_text_release(&text);
        close_pair(&old);
        close_pair(&new);
    }
}

static void closed_last_line_stays_closed(void **state)
{
    assert_last_line_stays_closed(*state, 1100, "");
}

/* What is before the line has not been written yet; something else has. Only lines
 * that begin a sector in the new log take the time. */
static void closed_last_line_after_a_large_one_stays_closed(void **state)
{
    const size_t size = (size_t)3 << 19;
    char *value = malloc(size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    value[size] = '\0';
    assert_last_line_stays_closed(*state, 512, value);
    free(value);
}

/* The same with tabs in the line, which may be a lost sector of a line that was
 * written over padding. */
static void closed_line_with_tabs_stays_closed(void **state)
{
    const struct store_dir *dir = *state;
    for (size_t size = 1; size <= 515; size += 2) {
        struct log_text text = LOG_TEXT_EMPTY;
        char value[600] = "";
        memset(value, 'v', size);
        log_text_set(&text, "a", value);
        log_text_set(&text, "a", "2");
        size_t at = log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":");
        log_text_fill(&text, '\t', 600);
        log_text_add(&text, "1}}\n");
        size_t tabs = at + strlen("{\"Set\":{\"key\":\"k\",\"val\":");
        bool is_closed = tabs + 600 < (tabs + 511) / 512 * 512 + 512;
        store_dir_write_log(dir, &text);
        struct pair old = open_pair(dir);
        struct pair new;
        uint64_t damaged = old.index.totals.counts.damaged_records;
        if (is_closed) {
            assert_int_equal(damaged, 1);

            assert_int_equal(run(dir, &old, &new), KVSTORE_OK);

            assert_int_equal(new.index.totals.counts.damaged_records, 1);
            assert_counted_anew(dir, &new);
            close_pair(&new);
        }
        log_text_release(&text);
        close_pair(&old);
    }
}

/* What was between two runs of NULs is dropped; they stay two lines. */
static void runs_of_nuls_that_meet_stay_apart(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_fill(&text, '\0', 100);
    log_text_set(&text, "a", "1");
    log_text_fill(&text, '\0', 50);
    log_text_set(&text, "a", "2");
    store_dir_write_log(dir, &text);
    struct pair old = open_pair(dir);
    struct pair new;

    assert_int_equal(run(dir, &old, &new), KVSTORE_OK);

    assert_int_equal(new.index.totals.counts.damaged_bytes, 151);
    assert_int_equal(new.index.totals.counts.damaged_records, 2);
    text.size = 0;
    log_text_fill(&text, '\0', 100);
    log_text_add(&text, "\n");
    log_text_fill(&text, '\0', 50);
    log_text_set(&text, "a", "2");
    store_dir_assert_log(dir, &text);
    log_text_release(&text);
    close_pair(&old);
    close_pair(&new);
}

static void lines_larger_than_the_buffer_are_kept(void **state)
{
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    size_t size = (size_t)3 << 20;
    char *value = calloc(1, size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    log_text_set(&from, "b", "1");
    log_text_set(&from, "a", value);
    log_text_set(&from, "b", "2");
    log_text_set(&to, "a", value);
    log_text_set(&to, "b", "2");
    free(value);
    assert_compacts(state, &from, &to);
}

static void compacted_log_stays_as_it_is(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "garbage\n");
    log_text_set(&text, "a", "1");
    log_text_remove(&text, "b");
    log_text_damaged_set(&text, "c", "1");
    store_dir_write_log(dir, &text);

    compact(dir);
    compact(dir);

    store_dir_assert_log(dir, &text);
    log_text_release(&text);
}

static void mode_of_the_log_is_kept(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct kv_io_stat stat;
    log_text_set(&text, "a", "1");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    assert_int_equal(chmod(store_dir_path(dir, KV_LOG_NAME), 0660), 0);

    compact(dir);

    assert_int_equal(kv_io_stat_name(&dir->directory, KV_LOG_NAME, &stat),
                     KVSTORE_OK);
    assert_int_equal(stat.mode, 0660);
}

/* --- The new file --- */

/* What was between the damage and the next line is left out. */
static void damage_does_not_grow_together_with_a_record(void **state)
{
    static const char nul_tail[] = "abc\0";
    static const char foreign[] = " {\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n";
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_add_bytes(&from, nul_tail, sizeof nul_tail - 1);
    log_text_set(&from, "a", "1");
    log_text_add(&from, foreign);
    log_text_set(&from, "a", "2");
    log_text_add_bytes(&to, nul_tail, sizeof nul_tail - 1);
    log_text_add(&to, "\n");
    log_text_add(&to, foreign);
    log_text_set(&to, "a", "2");
    assert_compacts(state, &from, &to);
}

static void leftover_is_never_read(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text from = LOG_TEXT_EMPTY;
    struct log_text to = LOG_TEXT_EMPTY;
    log_text_set(&from, "left", "over");
    store_dir_write(dir, KV_LOG_COMPACT_NAME, from.bytes, from.size);
    from.size = 0;
    log_text_set(&from, "a", "1");
    log_text_set(&to, "a", "1");
    assert_compacts(state, &from, &to);
}

/* Asserts that a compaction fails with a status, and leaves the log as it
 * was. */
static void assert_fails(const struct store_dir *dir,
                         struct pair *pair,
                         kvstore_status expected)
{
    struct pair new;
    size_t size = 0;
    char *before = store_dir_read(dir, KV_LOG_NAME, &size);

    assert_int_equal(run(dir, pair, &new), expected);

    assert_int_equal(kvstore_last_error()->status, expected);
    assert_null(new.index.memory.region);
    assert_int_equal(new.log.file.fd, -1);
    store_dir_assert_file(dir, KV_LOG_NAME, before, size);
    free(before);
}

static struct pair make_small_pair(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    return open_pair(dir);
}

static uint64_t inode_of(const struct store_dir *dir, const char *name)
{
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat_name(&dir->directory, name, &stat), KVSTORE_OK);
    return stat.inode;
}

static void second_compaction_is_busy(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_file other;
    assert_int_equal(
        kv_io_open(
            &dir->directory, KV_LOG_COMPACT_NAME, KV_IO_CREATE_NEW, &other),
        KVSTORE_OK);
    assert_int_equal(kv_io_write(&other, 0, "theirs", 6), KVSTORE_OK);
    assert_int_equal(kv_io_lock(&other, 0, NULL), KVSTORE_OK);

    assert_fails(dir, &pair, KVSTORE_BUSY);

    store_dir_assert_file(dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    kv_io_close(&other);
    close_pair(&pair);
}

/* The directory where another file gets the new log's name while that is being
 * written. */
static const struct store_dir *swapped_dir;
static int swapped_fd;

static int replacing_fsync(int fd)
{
    (void)unlink(store_dir_path(swapped_dir, KV_LOG_COMPACT_NAME));
    store_dir_write(swapped_dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    return kv_io_system_table()->fsync(fd);
}

static int failing_fsync(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

static int failing_rename(int fd, const char *from, const char *to)
{
    (void)fd;
    (void)from;
    (void)to;
    errno = EACCES;
    return -1;
}

/* The new index is in a file of the directory, as the old one is. */
static void given_up_log_and_index_leave_no_files(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct pair new;
    pair.index.directory = &dir->directory;
    assert_int_equal(
        compaction_run(
            &dir->directory, &pair.log, &pair.index, &new.log, &new.index),
        KVSTORE_OK);
    char name[sizeof new.index.memory.temporary_name];
    memcpy(name, new.index.memory.temporary_name, sizeof name);
    assert_true(store_dir_has(dir, name));
    assert_true(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    assert_int_equal(inode_of(dir, KV_LOG_NAME), pair.log.inode);

    kv_successor_discard(&dir->directory, &new.log);
    kv_index_release(&new.index);

    assert_false(store_dir_has(dir, name));
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    assert_int_equal(new.log.file.fd, -1);
    close_pair(&pair);
}

static void replaced_file_is_given_up(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_table table = *kv_io_system_table();
    table.fsync = replacing_fsync;
    swapped_dir = dir;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_BUSY);
    kv_io_swap_table(kv_io_system_table());

    store_dir_assert_file(dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    close_pair(&pair);
}

static int linking_fsync(int fd)
{
    assert_int_equal(linkat(swapped_dir->directory.fd,
                            KV_LOG_COMPACT_NAME,
                            swapped_dir->directory.fd,
                            "second-name",
                            0),
                     0);
    return kv_io_system_table()->fsync(fd);
}

/* It would be a log that is written from two directories. */
static void file_with_one_more_name_is_given_up(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_table table = *kv_io_system_table();
    table.fsync = linking_fsync;
    swapped_dir = dir;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_BUSY);
    kv_io_swap_table(kv_io_system_table());

    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
}

static void failed_sync_leaves_the_old_log(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_table table = *kv_io_system_table();
    table.fsync = failing_fsync;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_IO);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(kvstore_last_error()->system_errno, EIO);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
}

static int full_writes; /* How many are still to fail. */

static ssize_t line_on_full_disk(int fd,
                                 const void *bytes,
                                 size_t size,
                                 off_t offset)
{
    if (full_writes > 0 && *(const char *)bytes == '{') {
        full_writes--;
        errno = ENOSPC;
        return -1;
    }
    return kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

/* What does not fit the buffer has those before it written: that there is room
 * again by then must not hide that they are not there. */
static void full_disk_in_the_middle_leaves_the_old_log(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct kv_io_table table = *kv_io_system_table();
    size_t size = (size_t)3 << 20;
    char *value = calloc(1, size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", value);
    free(value);
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    struct pair pair = open_pair(dir);
    table.pwrite = line_on_full_disk;
    full_writes = 1;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_IO);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(full_writes, 0);
    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    close_pair(&pair);
}

static void failed_rename_leaves_the_old_log(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_table table = *kv_io_system_table();
    table.renameat = failing_rename;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_IO);
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(kvstore_last_error()->system_errno, EACCES);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
}

/* --- An index that lies --- */

static void index_that_lacks_a_key_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_table *table = &pair.index.table;
    for (uint64_t slot = 0; slot < kv_table_slot_count(table); slot++) {
        atomic_store(&table->words[slot * 2], 0);
    }

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

static void index_with_an_older_record_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_table *table = &pair.index.table;
    uint64_t slot = 0;
    while (kv_table_load(table, slot).tag == 0) {
        slot++;
    }
    uint64_t word = kv_table_load(table, slot).pointer;
    atomic_store(&table->words[slot * 2 + 1], word & ~KV_OFFSET_MAX);

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

/* Returns the number of a key's slot. */
static uint64_t slot_of(const struct pair *pair, const char *key)
{
    const struct kv_table *table = &pair->index.table;
    struct kv_table_hash hash = kv_table_hash(table, key, strlen(key));
    struct kv_table_place place;
    struct kv_table_entry entry;
    assert_true(kv_table_find(table, hash, false, &place, &entry));
    return place.slot;
}

/* The words of a key's slot. */
static _Atomic uint64_t *tag_of(const struct pair *pair, const char *key)
{
    return &pair->index.table.words[slot_of(pair, key) * 2];
}

static _Atomic uint64_t *pointer_of(const struct pair *pair, const char *key)
{
    return tag_of(pair, key) + 1;
}

#define NOWHERE UINT64_MAX

/* Points a key's slot at another offset, or with NOWHERE at none. */
static void mislead(const struct pair *pair, const char *key, uint64_t offset)
{
    if (offset == NOWHERE) {
        atomic_store(tag_of(pair, key), 0);
        return;
    }
    _Atomic uint64_t *word = pointer_of(pair, key);
    atomic_store(word, (atomic_load(word) & ~KV_OFFSET_MAX) | offset);
}

/* Sets each of four keys three times, and removes the last one. The array gets
 * the offsets of the Sets. */
static struct pair make_rich_pair(const struct store_dir *dir,
                                  uint64_t offsets[3][4])
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct log_text text = LOG_TEXT_EMPTY;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++) {
            offsets[i][j] = text.size;
            log_text_set(&text, keys[j], "value");
        }
    }
    log_text_remove(&text, "d");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    return open_pair(dir);
}

static void one_key_that_the_index_lacks_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    mislead(&pair, "b", NOWHERE);

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

/* Both of a key's slots lead to a record of it, and so the sums are equal; the
 * newer record is a Set, or a Remove, which is not kept. */
static void key_with_two_slots_ends_it(void **state)
{
    static const char *const keys[] = {"b", "d"};
    const struct store_dir *dir = *state;
    for (int i = 0; i < 2; i++) {
        uint64_t offsets[3][4];
        struct pair pair = make_rich_pair(dir, offsets);
        struct kv_table_slot slot =
            kv_table_load(&pair.index.table, slot_of(&pair, keys[i]));
        struct kv_table_entry older = kv_table_entry_of(slot);
        older.pointer = (struct kv_log_pointer){.offset = offsets[1][2 * i + 1],
                                                .length = offsets[0][1]};
        older.kind = KV_TABLE_SET;
        atomic_store(pointer_of(&pair, keys[i]),
                     kv_table_slot_of(kv_table_hash_of(slot), &older).pointer);
        assert_true(kv_table_insert(&pair.index.table, slot));

        assert_fails(dir, &pair, KVSTORE_CORRUPT);

        close_pair(&pair);
    }
}

static void older_record_of_one_key_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    mislead(&pair, "b", offsets[1][1]);

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

static void removed_key_is_not_brought_back_by_the_index(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    mislead(&pair, "d", offsets[2][3]);

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

/* As many keys as before, but not the same ones. */
static void two_lies_that_balance_end_it(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    mislead(&pair, "d", offsets[0][3]);
    mislead(&pair, "b", NOWHERE); /* It may have been before the other. */

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

static void slot_of_another_key_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    mislead(&pair, "b", offsets[0][0]);

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

/* Points a key's slot at every offset in turn. */
static void assert_no_lie_is_believed(const struct store_dir *dir,
                                      struct pair *pair,
                                      const char *key)
{
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    _Atomic uint64_t *word = pointer_of(pair, key);
    uint64_t truth = atomic_load(word);
    for (uint64_t offset = 0; offset <= size; offset++) {
        mislead(pair, key, offset);
        if (atomic_load(word) != truth) {
            assert_fails(dir, pair, KVSTORE_CORRUPT);
        }
        atomic_store(word, truth);
    }
}

static void no_lie_of_one_slot_is_believed(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    for (size_t i = 0; i < 4; i++) {
        assert_no_lie_is_believed(dir, &pair, keys[i]);
    }
    close_pair(&pair);
}

static void flipped_bit_of_a_slot_is_not_believed(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    for (size_t i = 0; i < 4; i++) {
        _Atomic uint64_t *words = tag_of(&pair, keys[i]);
        for (unsigned bit = 0; bit < 128; bit++) {
            _Atomic uint64_t *word = &words[bit / 64];
            uint64_t truth = atomic_load(word);
            atomic_store(word, truth ^ UINT64_C(1) << bit % 64);
            assert_fails(dir, &pair, KVSTORE_CORRUPT);
            atomic_store(word, truth);
        }
    }
    close_pair(&pair);
}

/* Two slots are exchanged, so that each hash leads to the record of the other
 * key; then both lead to one record. */
static void slots_of_two_keys_that_were_exchanged_end_it(void **state)
{
    const struct store_dir *dir = *state;
    uint64_t offsets[3][4];
    struct pair pair = make_rich_pair(dir, offsets);
    mislead(&pair, "a", offsets[2][1]);
    mislead(&pair, "b", offsets[2][0]);
    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    mislead(&pair, "b", offsets[2][1]);
    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

/* The index stays, and a record in the log, stale or the newest of its key, is
 * overwritten with one of another key. */
static void edited_key_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 3; i++) {
        uint64_t offsets[3][4];
        struct pair pair = make_rich_pair(dir, offsets);
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "e", "value");
        store_dir_overwrite(
            dir, KV_LOG_NAME, (size_t)offsets[i][1], text.bytes, text.size);

        assert_fails(dir, &pair, KVSTORE_CORRUPT);

        log_text_release(&text);
        close_pair(&pair);
    }
}

static void log_that_shrank_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    store_dir_truncate(
        dir, KV_LOG_NAME, store_dir_file_size(dir, KV_LOG_NAME) / 2);

    assert_fails(dir, &pair, KVSTORE_CORRUPT);

    close_pair(&pair);
}

static void append_set(const struct store_dir *dir, const char *key)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, key, "1");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

/* What a round has copied is cut off, and something else is written there. */
static void line_of_a_round_that_was_exchanged_ends_it(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_compaction compaction = {.directory = &dir->directory,
                                       .log = &pair.log,
                                       .index = &pair.index,
                                       .new_log = KV_LOG_NONE,
                                       .new_index = KV_INDEX_NONE};
    size_t copied = store_dir_file_size(dir, KV_LOG_NAME);
    assert_int_equal(kv_compaction_begin(&compaction), KVSTORE_OK);
    assert_int_equal(kv_compaction_copy(&compaction), KVSTORE_OK);
    append_set(dir, "x");
    size_t end = store_dir_file_size(dir, KV_LOG_NAME);
    assert_int_equal(kv_compaction_follow(&compaction, end), KVSTORE_OK);
    assert_int_equal(kv_compaction_follow(&compaction, end), KVSTORE_OK);
    store_dir_truncate(dir, KV_LOG_NAME, copied);
    append_set(dir, "y");

    assert_int_equal(kv_compaction_follow(&compaction, end), KVSTORE_CORRUPT);

    kv_compaction_release(&compaction);
    close_pair(&pair);
}

/* The process that made it may have it open still, and would hold the log. */
static void leftover_is_made_anew(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct pair new;
    struct kv_io_file theirs;
    struct kv_io_stat stat;
    char bytes[8];
    size_t size = 0;
    assert_int_equal(
        kv_io_open(
            &dir->directory, KV_LOG_COMPACT_NAME, KV_IO_CREATE_NEW, &theirs),
        KVSTORE_OK);
    assert_int_equal(kv_io_write(&theirs, 0, "theirs", 6), KVSTORE_OK);
    assert_int_equal(kv_io_stat(&theirs, &stat), KVSTORE_OK);

    assert_int_equal(run(dir, &pair, &new), KVSTORE_OK);

    assert_int_not_equal(inode_of(dir, KV_LOG_NAME), stat.inode);
    assert_int_equal(kv_io_read(&theirs, 0, bytes, sizeof bytes, &size),
                     KVSTORE_OK);
    assert_int_equal(size, 6);
    assert_memory_equal(bytes, "theirs", 6);
    kv_io_close(&theirs);
    close_pair(&pair);
    close_pair(&new);
}

static void link_to_the_log_in_the_way_goes(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct pair new;
    size_t size = 0;
    char *before = store_dir_read(dir, KV_LOG_NAME, &size);
    assert_int_equal(linkat(dir->directory.fd,
                            KV_LOG_NAME,
                            dir->directory.fd,
                            KV_LOG_COMPACT_NAME,
                            0),
                     0);
    assert_int_equal(
        linkat(dir->directory.fd, KV_LOG_NAME, dir->directory.fd, "kept", 0),
        0);

    assert_int_equal(run(dir, &pair, &new), KVSTORE_OK);

    store_dir_assert_file(dir, "kept", before, size);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    free(before);
    close_pair(&pair);
    close_pair(&new);
}

static void fifo_in_the_way_goes(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct pair new;
    assert_int_equal(mkfifo(store_dir_path(dir, KV_LOG_COMPACT_NAME), 0600), 0);

    assert_int_equal(run(dir, &pair, &new), KVSTORE_OK);

    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
    close_pair(&new);
}

static void directory_in_the_way_is_named(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    assert_int_equal(mkdir(store_dir_path(dir, KV_LOG_COMPACT_NAME), 0700), 0);

    assert_fails(dir, &pair, KVSTORE_IO);

    assert_string_equal(kvstore_last_error()->message,
                        "cannot remove store.log.compact: Is a directory");
    assert_int_equal(rmdir(store_dir_path(dir, KV_LOG_COMPACT_NAME)), 0);
    close_pair(&pair);
}

/* The name is taken whenever it must be created, and gone when it must be
 * removed. */
static int openat_of_a_flicker(int dir_fd,
                               const char *name,
                               int flags,
                               mode_t mode)
{
    if (strcmp(name, KV_LOG_COMPACT_NAME) == 0 && (flags & O_EXCL) != 0) {
        errno = EEXIST;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void name_that_is_always_taken_is_busy(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_table table = *kv_io_system_table();
    table.openat = openat_of_a_flicker;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_BUSY);
    kv_io_swap_table(kv_io_system_table());

    close_pair(&pair);
}

/* The leftover loses its name between its check and its lock, and the file of
 * another compaction gets the name: that file stays. */
static int replacing_flock(int fd, int operation)
{
    struct stat stat;
    int result = kv_io_system_table()->flock(fd, operation);
    if (fstat(fd, &stat) == 0 && stat.st_size == 6) {
        (void)unlink(store_dir_path(swapped_dir, KV_LOG_COMPACT_NAME));
        int other = open(store_dir_path(swapped_dir, KV_LOG_COMPACT_NAME),
                         O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                         0600);
        (void)kv_io_system_table()->flock(other, operation);
        swapped_fd = other;
    }
    return result;
}

static void file_in_a_leftovers_place_is_left_to_its_holder(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct kv_io_table table = *kv_io_system_table();
    store_dir_write(dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    table.flock = replacing_flock;
    swapped_dir = dir;

    kv_io_swap_table(&table);
    assert_fails(dir, &pair, KVSTORE_BUSY);
    kv_io_swap_table(kv_io_system_table());

    assert_true(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    assert_int_equal(close(swapped_fd), 0);
    close_pair(&pair);
}

static void symbolic_link_in_the_way_goes(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct pair new;
    store_dir_write(dir, "target", "theirs", 6);
    assert_int_equal(
        symlinkat("target", dir->directory.fd, KV_LOG_COMPACT_NAME), 0);

    assert_int_equal(run(dir, &pair, &new), KVSTORE_OK);

    store_dir_assert_file(dir, "target", "theirs", 6);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
    close_pair(&new);
}

/* Fails as opening root's file fails for other users. */
static int forbidden_openat(int dir_fd,
                            const char *name,
                            int flags,
                            mode_t mode)
{
    if (strcmp(name, KV_LOG_COMPACT_NAME) == 0 && (flags & O_EXCL) == 0) {
        errno = EACCES;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void leftover_that_cannot_be_opened_goes(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    struct pair new;
    store_dir_write(dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    struct kv_io_table table = *kv_io_system_table();
    table.openat = forbidden_openat;
    kv_io_swap_table(&table);

    kvstore_status status = run(dir, &pair, &new);

    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(status, KVSTORE_OK);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
    close_pair(&new);
}

/* --- Given up --- */

static void append_megabytes(const struct store_dir *dir, size_t count)
{
    size_t size = (size_t)1 << 20;
    char *value = calloc(1, size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", value);
    for (size_t i = 0; i < count; i++) {
        store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    }
    log_text_release(&text);
    free(value);
}

static void writers_cannot_keep_who_gave_it_up(void **state)
{
    const struct store_dir *dir = *state;
    struct pair pair = make_small_pair(dir);
    atomic_bool is_given_up = false;
    struct kv_compaction compaction = {.directory = &dir->directory,
                                       .log = &pair.log,
                                       .index = &pair.index,
                                       .is_given_up = &is_given_up,
                                       .new_log = KV_LOG_NONE,
                                       .new_index = KV_INDEX_NONE};
    assert_int_equal(kv_compaction_begin(&compaction), KVSTORE_OK);
    assert_int_equal(kv_compaction_copy(&compaction), KVSTORE_OK);
    for (int i = 0; i < 3; i++) {
        append_megabytes(dir, 40);
        uint64_t end = store_dir_file_size(dir, KV_LOG_NAME);

        assert_int_equal(kv_compaction_follow(&compaction, end),
                         i < 2 ? KVSTORE_OK : KVSTORE_BUSY);

        atomic_store(&is_given_up, true);
    }
    kv_compaction_release(&compaction);
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    close_pair(&pair);
}

static const struct CMUnitTest tests[] = {
    STORE_TEST(due_needs_both_bytes_and_share),
    STORE_TEST(removes_do_not_count_while_there_is_damage),
    STORE_TEST(empty_log_stays_empty),
    STORE_TEST(newest_sets_are_kept_in_order),
    STORE_TEST(foreign_layouts_are_kept_byte_for_byte),
    STORE_TEST(unreachable_keys_are_kept),
    STORE_TEST(damage_is_kept_at_its_place),
    STORE_TEST(garbage_of_twenty_megabytes_is_kept),
    STORE_TEST(newest_removes_are_kept_while_there_is_damage),
    STORE_TEST(batches_lose_their_member),
    STORE_TEST(batch_with_an_empty_key_loses_its_member),
    STORE_TEST(broken_batches_are_kept_as_they_are),
    STORE_TEST(damaged_lines_do_not_grow_together),
    STORE_TEST(closed_last_line_stays_closed),
    STORE_TEST(closed_last_line_after_a_large_one_stays_closed),
    STORE_TEST(closed_line_with_tabs_stays_closed),
    STORE_TEST(runs_of_nuls_that_meet_stay_apart),
    STORE_TEST(lines_larger_than_the_buffer_are_kept),
    STORE_TEST(compacted_log_stays_as_it_is),
    STORE_TEST(mode_of_the_log_is_kept),
    STORE_TEST(damage_does_not_grow_together_with_a_record),
    STORE_TEST(leftover_is_never_read),
    STORE_TEST(second_compaction_is_busy),
    STORE_TEST(given_up_log_and_index_leave_no_files),
    STORE_TEST(replaced_file_is_given_up),
    STORE_TEST(failed_sync_leaves_the_old_log),
    STORE_TEST(full_disk_in_the_middle_leaves_the_old_log),
    STORE_TEST(failed_rename_leaves_the_old_log),
    STORE_TEST(index_that_lacks_a_key_ends_it),
    STORE_TEST(index_with_an_older_record_ends_it),
    STORE_TEST(one_key_that_the_index_lacks_ends_it),
    STORE_TEST(key_with_two_slots_ends_it),
    STORE_TEST(older_record_of_one_key_ends_it),
    STORE_TEST(removed_key_is_not_brought_back_by_the_index),
    STORE_TEST(two_lies_that_balance_end_it),
    STORE_TEST(no_lie_of_one_slot_is_believed),
    STORE_TEST(flipped_bit_of_a_slot_is_not_believed),
    STORE_TEST(slots_of_two_keys_that_were_exchanged_end_it),
    STORE_TEST(edited_key_ends_it),
    STORE_TEST(slot_of_another_key_ends_it),
    STORE_TEST(log_that_shrank_ends_it),
    STORE_TEST(line_of_a_round_that_was_exchanged_ends_it),
    STORE_TEST(leftover_is_made_anew),
    STORE_TEST(link_to_the_log_in_the_way_goes),
    STORE_TEST(fifo_in_the_way_goes),
    STORE_TEST(directory_in_the_way_is_named),
    STORE_TEST(name_that_is_always_taken_is_busy),
    STORE_TEST(file_in_a_leftovers_place_is_left_to_its_holder),
    STORE_TEST(file_with_one_more_name_is_given_up),
    STORE_TEST(symbolic_link_in_the_way_goes),
    STORE_TEST(leftover_that_cannot_be_opened_goes),
    STORE_TEST(writers_cannot_keep_who_gave_it_up),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
