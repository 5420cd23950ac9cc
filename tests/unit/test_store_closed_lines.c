/* SPDX-License-Identifier: MIT */

/* A damaged line that was written whole stays one when a compaction or a backup
 * moves it. Whether it looks written whole depends on where it is in the sectors
 * of the file: where it would look like an unfinished write, the next writer
 * would cut it off. */

#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log/padding.h"
#include "os/directory.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECTOR ((size_t)512)
#define TABS ((size_t)600)

/* Syncs, and waits for who may be writing, are not what is tested here, and take
 * their time. */
static void no_sleep(int64_t ns)
{
    (void)ns;
}

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

static int set_up(void **state)
{
    static struct kv_io_table table;
    table = *kv_io_system_table();
    table.sleep_ns = no_sleep;
    table.fsync = no_sync;
    table.fdatasync = no_sync;
    kv_io_swap_table(&table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define LINE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* What is left out moves the damaged line to the front. */
struct layout {
    size_t live_size;  /* Of a line that stays, */
    size_t stale_size; /* and of one that does not: a record, */
    size_t nuls;       /* or after so many NULs a blank line. */
    size_t tabs;       /* So many are in the damaged line, */
    bool has_last_tab; /* and one at its end. */
};

static void add_set(struct log_text *text, const char *key, size_t line_size)
{
    struct log_text shortest = LOG_TEXT_EMPTY;
    log_text_set(&shortest, key, "");
    assert_true(line_size >= shortest.size);
    size_t size = line_size - shortest.size;
    char *value = malloc(size + 1);
    assert_non_null(value);
    memset(value, 'v', size);
    value[size] = '\0';
    log_text_set(text, key, value);
    free(value);
    log_text_release(&shortest);
}

static size_t add_damaged(struct log_text *text, const struct layout *layout)
{
    size_t at = log_text_add(text, "{\"Set\":{\"key\":\"k\",\"val\":");
    log_text_fill(text, '\t', layout->tabs);
    log_text_add(text, layout->has_last_tab ? "1}}\t\n" : "1}}\n");
    return at;
}

/* Returns where the damaged line begins. */
static size_t lay_out(struct log_text *text, const struct layout *layout)
{
    add_set(text, "live", layout->live_size);
    if (layout->nuls > 0) {
        log_text_fill(text, '\0', layout->nuls);
        log_text_fill(text, ' ', layout->stale_size - 1);
        log_text_add(text, "\n");
    } else {
        add_set(text, "key", layout->stale_size);
        log_text_set(text, "key", "2");
    }
    return add_damaged(text, layout);
}

/* True if the bytes are somewhere in the log. */
static bool holds(const struct store_dir *dir, const char *bytes, size_t size)
{
    size_t log_size = 0;
    char *log = store_dir_read(dir, KV_LOG_NAME, &log_size);
    bool is_found = false;
    for (size_t i = 0; !is_found && i + size <= log_size; i++) {
        is_found = memcmp(log + i, bytes, size) == 0;
    }
    free(log);
    return is_found;
}

static void assert_damage_stays(const struct store_dir *dir,
                                kvstore *store,
                                uint64_t damaged,
                                const struct log_text *text,
                                size_t at)
{
    assert_int_equal(checked_stats(store).damaged_records, damaged);
    must_set(store, "new", "1");
    assert_int_equal(checked_stats(store).damaged_records, damaged);
    assert_true(holds(dir, text->bytes + at, text->size - at));
    assert_int_equal(try_get(store, "live"), KVSTORE_OK);
    kvstore_close(store);
}

/* The new log is judged by a handle that builds its index anew. */
static void assert_moves_whole(const struct store_dir *dir,
                               const struct layout *layout)
{
    char path[sizeof dir->path];
    struct store_dir copy = {.directory = KV_IO_FILE_NONE};
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = lay_out(&text, layout);
    store_dir_write_log(dir, &text);
    kvstore *store = open_plain(dir);
    uint64_t damaged = checked_stats(store).damaged_records;
    assert_int_equal(damaged, layout->nuls > 0 ? 2 : 1);
    (void)snprintf(path, sizeof path, "%.200s/copy", dir->path);

    assert_int_equal(kvstore_backup(store, path), KVSTORE_OK);
    must_compact(store);

    assert_int_equal(checked_stats(store).damaged_records, damaged);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_CORRUPT);
    kvstore_close(store);
    remove_index(dir);
    assert_damage_stays(dir, open_plain(dir), damaged, &text, at);
    remove_index(dir);
    (void)snprintf(copy.path, sizeof copy.path, "%s", path);
    assert_int_equal(kv_io_open_directory(path, &copy.directory), KVSTORE_OK);
    assert_damage_stays(&copy, open_plain(&copy), damaged, &text, at);
    assert_int_equal(kv_io_unlink(&copy.directory, KV_LOG_NAME), KVSTORE_OK);
    remove_index(&copy);
    kv_io_close(&copy.directory);
    log_text_release(&text);
}

/* The size of a live line with which the damaged line begins at a place in the
 * new log. */
static size_t live_size_for(const struct layout *layout, size_t place)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = lay_out(&text, layout);
    size_t left_out =
        layout->nuls > 0 ? layout->stale_size - 1 : layout->stale_size;
    size_t moved = at - left_out - layout->live_size;
    log_text_release(&text);
    assert_true(place > moved);
    return place - moved;
}

/* --- The tests --- */

/* True if one of the tabs' sectors is all tabs, as a lost one would be. */
static bool has_lost_sector(size_t at)
{
    size_t tabs = at + strlen("{\"Set\":{\"key\":\"k\",\"val\":");
    size_t sector = (tabs + SECTOR - 1) / SECTOR * SECTOR;
    return sector + SECTOR <= tabs + TABS;
}

/* Wherever the line comes to be, also right after its place in a sector. */
static void assert_moves_whole_everywhere(const struct store_dir *dir,
                                          size_t nuls)
{
    int moved = 0;
    for (size_t stale_size = 100; stale_size < 100 + SECTOR; stale_size += 41) {
        for (size_t place = 1024; place < 1024 + SECTOR; place += 47) {
            struct layout layout = {.live_size = SECTOR,
                                    .stale_size = stale_size,
                                    .nuls = nuls,
                                    .tabs = TABS};
            layout.live_size = live_size_for(&layout, place);
            size_t left_out = nuls > 0 ? stale_size - 1 : stale_size;
            if (!has_lost_sector(place + left_out)) {
                assert_moves_whole(dir, &layout);
                moved += has_lost_sector(place) ? 1 : 0;
            }
        }
    }
    assert_true(moved > 0);
}

static void closed_line_is_not_moved_to_a_lost_sector(void **state)
{
    assert_moves_whole_everywhere(*state, 0);
}

static void closed_line_after_nuls_is_not_either(void **state)
{
    assert_moves_whole_everywhere(*state, 40);
}

/* A tab before the newline that ends a unit of padding looks like what is left
 * of it. The second line would come to end there by the blanks that bring it back
 * to its place in a sector, the third by as much as a sector. */
static void closed_line_is_not_moved_to_the_end_of_padding(void **state)
{
    const struct store_dir *dir = *state;
    const struct layout layouts[] = {
        {.live_size = 1024, .stale_size = 100, .has_last_tab = true},
        {.live_size = 1024, .stale_size = SECTOR, .has_last_tab = true},
        {.live_size = 1024,
         .stale_size = SECTOR + 450,
         .tabs = TABS,
         .has_last_tab = true},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct log_text line = LOG_TEXT_EMPTY;
        struct layout layout = layouts[i];
        (void)add_damaged(&line, &layout);
        size_t end = KV_PADDING_UNIT;
        size_t blanks = layout.tabs > 0 ? layout.stale_size % SECTOR : 0;
        layout.live_size = live_size_for(&layout, end - blanks - line.size);
        assert_moves_whole(dir, &layout);
        log_text_release(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINE_TEST(closed_line_is_not_moved_to_a_lost_sector),
        LINE_TEST(closed_line_after_nuls_is_not_either),
        LINE_TEST(closed_line_is_not_moved_to_the_end_of_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
