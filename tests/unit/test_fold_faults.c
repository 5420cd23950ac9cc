/* SPDX-License-Identifier: MIT */

/* Does the fold end with the failure of a call, whichever it is, and visit
 * nothing but what it would have visited? It is linked with a fold and a cursor
 * that hold a handful of bytes, so that lines are looked at, read and looked ahead
 * to in all ways. */

#include "log/fold.h"
#include "log/log.h"
#include "log/skip.h"
#include "log_text.h"
#include "record/decode.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS_MAX 64u
#define CALLS_MAX 2000

/* --- A table that fails --- */

static struct {
    struct kv_io_table table;
    int fails_in;
    bool has_no_memory; /* That is what fails; else reads do. */
} faulty;

static bool fails_now(bool is_memory)
{
    return is_memory == faulty.has_no_memory && faulty.fails_in > 0 &&
           --faulty.fails_in == 0;
}

static ssize_t faulty_pread(int fd, void *buffer, size_t size, off_t offset)
{
    errno = EIO;
    return fails_now(false)
               ? -1
               : kv_io_system_table()->pread(fd, buffer, size, offset);
}

static void *faulty_malloc(size_t size)
{
    errno = ENOMEM;
    return fails_now(true) ? NULL : kv_io_system_table()->malloc(size);
}

static int set_up(void **state)
{
    faulty.fails_in = 0;
    faulty.table = *kv_io_system_table();
    faulty.table.pread = faulty_pread;
    faulty.table.malloc = faulty_malloc;
    kv_io_swap_table(&faulty.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define FAULT_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- What a fold has visited --- */

struct visited {
    struct {
        struct kv_log_pointer pointer;
        enum kv_record_type type;
    } items[ITEMS_MAX];
    size_t count;
    struct kv_fold_result result;
};

static kvstore_status note_item(void *context, const struct kv_fold_item *item)
{
    struct visited *visited = context;
    assert_true(visited->count < ITEMS_MAX);
    visited->items[visited->count].pointer = item->pointer;
    visited->items[visited->count++].type = item->type;
    return KVSTORE_OK;
}

static kvstore_status fold(const struct kv_log *log,
                           uint64_t size,
                           const char *prefix,
                           struct visited *visited_out)
{
    struct kv_log_skip skip = {.size = 0};
    struct kv_fold_range range = {.end = size};
    if (prefix != NULL) {
        skip = kv_log_skip_for(prefix, strlen(prefix));
        range.skip = &skip;
    }
    memset(visited_out, 0, sizeof *visited_out);
    return kv_fold(log, range, note_item, visited_out, &visited_out->result);
}

/* What was visited before the failure is what would have been visited. */
static void assert_begins_like(const struct visited *visited,
                               const struct visited *whole)
{
    assert_true(visited->count <= whole->count);
    for (size_t i = 0; i < visited->count; i++) {
        assert_memory_equal(&visited->items[i].pointer,
                            &whole->items[i].pointer,
                            sizeof whole->items[i].pointer);
        assert_int_equal(visited->items[i].type, whole->items[i].type);
    }
}

/* Lets each call fail. A failed look at what is before a line at a sector's
 * beginning is no failure of the fold: nothing is cut off then. */
static void assert_failures_are_told(const struct kv_log *log,
                                     const struct visited *whole,
                                     uint64_t size,
                                     const char *prefix)
{
    kvstore_status expected =
        faulty.has_no_memory ? KVSTORE_NO_MEMORY : KVSTORE_IO;
    int told = 0;
    bool has_fired = true;
    for (int n = 1; has_fired; n++) {
        struct visited visited;
        assert_true(n < CALLS_MAX);
        faulty.fails_in = n;
        kvstore_status status = fold(log, size, prefix, &visited);
        has_fired = faulty.fails_in == 0;
        faulty.fails_in = 0;
        assert_true(status == KVSTORE_OK || (has_fired && status == expected));
        assert_begins_like(&visited, whole);
        if (status == KVSTORE_OK) {
            assert_int_equal(visited.count, whole->count);
            assert_true(visited.result.offset >= whole->result.offset);
        } else {
            assert_int_equal(kvstore_last_error()->status, expected);
            told++;
        }
    }
    assert_true(told > 0);
}

static void assert_folds(const struct store_dir *dir,
                         const struct log_text *text,
                         const char *prefix,
                         bool is_unsure)
{
    struct kv_log log;
    struct visited whole;
    store_dir_write_log(dir, text);
    assert_int_equal(kv_log_open(&dir->directory, false, &log), KVSTORE_OK);
    assert_int_equal(fold(&log, text->size, prefix, &whole), KVSTORE_OK);
    assert_int_equal(whole.result.is_unsure, is_unsure);
    for (int i = 0; i < 2; i++) {
        faulty.has_no_memory = i == 1;
        assert_failures_are_told(&log, &whole, text->size, prefix);
    }
    faulty.fails_in = 0;
    kv_log_close(&log);
}

/* --- Logs --- */

static const char *value_of_size(size_t size)
{
    static char value[1000];
    assert_true(size < sizeof value);
    memset(value, 'v', size);
    value[size] = '\0';
    return value;
}

static void add_long_lines(struct log_text *text)
{
    log_text_set(text, "a", value_of_size(800));
    log_text_fill(text, ' ', 700);
    log_text_add(text, "\r\t\r\n");
    log_text_add(text, "{\"Set\":{\"key\":\"k\",\"val\":");
    log_text_fill(text, 'x', 700);
    log_text_add(text, "\n");
    log_text_damaged_set(text, "b", value_of_size(700));
    log_text_fill(text, '\0', 700);
    log_text_add(text, "\n");
    log_text_add(text, "{\"Set\":{\"key\":\"k\",");
    log_text_fill(text, '\0', 600);
    log_text_add(text, "}\n");
    log_text_set(text, "a", value_of_size(3));
}

static void failure_within_long_lines_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    add_long_lines(&text);
    assert_folds(*state, &text, NULL, false);
    log_text_release(&text);
}

static void failure_within_a_batch_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    for (unsigned batch = 4; batch > 0; batch--) {
        log_text_batch_set(&text, "b", value_of_size(50), batch);
    }
    log_text_batch_set(&text, "c", "1", 3);
    log_text_batch_set(&text, "c", value_of_size(700), 2);
    log_text_damaged_set(&text, "c", value_of_size(60));
    log_text_batch_set(&text, "d", "1", 1);
    log_text_set(&text, "a", "2");
    assert_folds(*state, &text, NULL, false);
    log_text_release(&text);
}

/* The lookahead that finds the tail torn may fail, too. */
static void failure_before_a_torn_tail_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_batch_set(&text, "b", value_of_size(50), 3);
    log_text_batch_set(&text, "b", value_of_size(50), 2);
    log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":\"");
    log_text_fill(&text, 'x', 700);
    assert_folds(*state, &text, NULL, false);
    log_text_release(&text);
}

/* Before a batch, the line that was skipped is looked at. */
static void failure_after_a_skipped_line_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    for (int i = 0; i < 3; i++) {
        log_text_set(&text, "other", "1");
        log_text_batch_set(&text, "p/1", "1", 2);
        log_text_batch_set(&text, "p/2", "1", 1);
        log_text_damaged_set(&text, "other", "1");
        log_text_batch_set(&text, "p/3", "1", 1);
    }
    log_text_set(&text, "other", "2");
    assert_folds(*state, &text, "p/", false);
    log_text_release(&text);
}

/* What was skipped is a record of another program that is of a batch, as it turns
 * out: then no verdict is possible. */
static void failure_where_the_verdict_is_not_known_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text,
                 "{\"Set\":{\"batch\":2,\"key\":\"other\",\"val\":\"1\"}}\n");
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"other\",\"batch\":2,\"val\":\"1\"}}\n");
    log_text_batch_set(&text, "p/1", "1", 1);
    log_text_set(&text, "other", "2");
    assert_folds(*state, &text, "p/", true);
    log_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(failure_within_long_lines_is_told),
        FAULT_TEST(failure_within_a_batch_is_told),
        FAULT_TEST(failure_before_a_torn_tail_is_told),
        FAULT_TEST(failure_after_a_skipped_line_is_told),
        FAULT_TEST(failure_where_the_verdict_is_not_known_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
