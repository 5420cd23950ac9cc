/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: whatever happens to
 * store.index. It is a cache: nothing that is done to it may lose a record. */

#include "any_status.h"
#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/bounds.h"
#include "os/file.h"
#include "os/system.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOT_PAGE_SIZE 4096

/* Fills with the same bytes in each run. */
static void fill_randomly(char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (char)(seed >> 56);
    }
}

static void overwrite_index(const struct store_dir *dir,
                            uint64_t offset,
                            size_t size,
                            uint64_t seed)
{
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    if (seed != 0) {
        fill_randomly(bytes, size, seed);
    }
    store_dir_overwrite(dir, KV_INDEX_NAME, offset, bytes, size);
    free(bytes);
}

/* --- While a process writes to it that may write the log --- */

/* Maps the index as another process does. */
static struct kv_table map_index(const struct store_dir *dir, void **region_out)
{
    struct kv_table table;
    size_t size = (size_t)store_dir_file_size(dir, KV_INDEX_NAME);
    int fd = open(store_dir_path(dir, KV_INDEX_NAME), O_RDWR);
    assert_true(fd >= 0);
    *region_out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*region_out, MAP_FAILED);
    close(fd);
    assert_true(kv_table_attach(*region_out, size, &table));
    return table;
}

/* Points all slots at an offset, and has the log end past it. */
static void lead_all_slots_to(const struct kv_table *table,
                              uint64_t offset,
                              uint64_t end)
{
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        _Atomic uint64_t *pointer = &table->words[i * 2 + 1];
        uint64_t bits = atomic_load(pointer) & ~KV_OFFSET_MAX;
        atomic_store(pointer, bits | offset);
    }
    atomic_store(&table->header->end, end);
}

static void get_one(const kvstore *store, int count)
{
    for (int i = 0; i < count; i++) {
        void *value = NULL;
        size_t size = 0;
        assert_int_equal(kvstore_get(store, "one", 3, &value, &size),
                         KVSTORE_OK);
        assert_int_equal(size, 5);
        kvstore_free(value);
    }
}

/* The log is mapped by then: past its end there is no page. */
static void end_that_is_past_the_log_is_not_believed(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = NULL;
    void *region = NULL;
    make_known(dir);
    assert_int_equal(kvstore_open(dir->path, NULL, &store), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "one", 3, "value", 5), KVSTORE_OK);
    get_one(store, 200);
    struct kv_table table = map_index(dir, &region);
    lead_all_slots_to(&table, 1 << 20, UINT64_C(1) << 41);

    get_one(store, 1);

    munmap(region, (size_t)table.header->region_size);
    kvstore_close(store);
}

/* --- While no handle has it open --- */

static void index_without_an_empty_slot_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = NULL;
    make_known(dir);
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
    take_all_places(dir);

    assert_int_equal(kvstore_open(dir->path, NULL, &store), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "one more", 8, "value", 5), KVSTORE_OK);
    kvstore_close(store);

    assert_int_equal(store_dir_file_size(dir, KV_INDEX_NAME), size);
    assert_int_equal(kvstore_open(dir->path, NULL, &store), KVSTORE_OK);
    void *value = NULL;
    size_t value_size = 0;
    assert_int_equal(kvstore_get(store, "one more", 8, &value, &value_size),
                     KVSTORE_OK);
    assert_int_equal(value_size, 5);
    kvstore_free(value);
    kvstore_close(store);
}

static void deleted_index_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);

    remove_index(dir);

    assert_heals(dir);
}

static void other_file_in_its_place_is_not_read(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);

    store_dir_write(dir, KV_INDEX_NAME, "hello\n", 6);

    assert_heals(dir);
}

static void overwritten_index_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t seed = 0; seed < 4; seed++) {
        size_t size = (size_t)store_dir_file_size(dir, KV_INDEX_NAME);

        overwrite_index(dir, 0, size, seed);

        assert_heals(dir);
    }
}

static void overwritten_header_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t seed = 0; seed < 4; seed++) {
        overwrite_index(dir, 0, sizeof(struct kv_table_header), seed);

        assert_heals(dir);
    }
}

/* Sound but for its tag, and all wrong: a process that trusted it would find
 * nothing. */
static void index_of_another_byte_order_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 0;
    make_known(dir);
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table = {.header = (void *)bytes};
    struct kv_table_identity identity = table.header->identity;
    char tag[sizeof table.header->magic];
    memcpy(tag, bytes, sizeof tag);
    for (size_t i = 0; i < sizeof tag; i++) {
        bytes[i] = tag[sizeof tag - 1 - i];
    }
    kv_table_seal(&table, &identity);
    memset(bytes + KV_TABLE_HEADER_SIZE, 0, size - KV_TABLE_HEADER_SIZE);

    store_dir_write(dir, KV_INDEX_NAME, bytes, size);

    assert_heals(dir);
    free(bytes);
    bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    assert_memory_equal(bytes, tag, sizeof tag);
    free(bytes);
}

/* Sound in all, but its tag is that of the layout before this one. */
static void index_of_the_former_format_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 0;
    make_known(dir);
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table = {.header = (void *)bytes};
    struct kv_table_identity identity = table.header->identity;
    uint64_t magic = table.header->magic;
    table.header->magic -= UINT64_C(1) << 56;
    kv_table_seal(&table, &identity);
    memset(bytes + KV_TABLE_HEADER_SIZE, 0, size - KV_TABLE_HEADER_SIZE);

    store_dir_write(dir, KV_INDEX_NAME, bytes, size);

    assert_heals(dir);
    assert_int_equal(load_header_word(dir, HEADER_AT(magic)), magic);
    free(bytes);
}

static void overwritten_totals_are_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t seed = 0; seed < 4; seed++) {
        overwrite_index(dir,
                        offsetof(struct kv_table_header, totals),
                        sizeof((struct kv_table_header *)0)->totals,
                        seed);

        assert_heals(dir);
    }
}

/* An empty slot looks like a key that was never set. But a compaction notices,
 * and so nothing is lost. */
static void emptied_slots_lose_nothing(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    overwrite_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE, 0);
    kvstore *store = open_plain(dir);

    must_compact(store);

    assert_known(store);
    assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
    kvstore_close(store);
    assert_heals(dir);
}

/* Some slots or all of them, read and written before any handle notices. */
static void wild_slots_lose_nothing(void **state)
{
    const struct store_dir *dir = *state;
    char key[32];
    make_known(dir);
    for (uint64_t seed = 1; seed < 9; seed++) {
        uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
        overwrite_index(dir,
                        KV_TABLE_HEADER_SIZE,
                        seed % 2 == 0 ? (size_t)size - KV_TABLE_HEADER_SIZE
                                      : SLOT_PAGE_SIZE,
                        seed);
        kvstore *store = open_plain(dir);
        for (int i = 0; i < KEYS; i++) {
            name_key(key, sizeof key, i);
            kvstore_status status = try_get(store, key);
            assert_true(status == KVSTORE_OK || status == KVSTORE_NOT_FOUND);
        }
        must_set(store, "key-1", "changed");
        must_set(store, "new", "value");
        assert_value(store, "key-1", "changed");
        assert_value(store, "new", "value");
        must_set(store, "key-1", value_of(1));
        must_remove(store, "new");

        must_compact(store);

        assert_known(store);
        kvstore_close(store);
        assert_heals(dir);
    }
}

static void wrong_word_in_the_header_is_harmless(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (size_t at = 0; at < offsetof(struct kv_table_header, totals);
         at += 8) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            overwrite_index(dir, at, 8, seed);

            assert_heals(dir);
        }
    }
}

static void index_of_another_store_is_not_read(void **state)
{
    const struct store_dir *dir = *state;
    void *other_state = NULL;
    size_t size = 0;
    assert_int_equal(store_dir_set_up(&other_state), 0);
    const struct store_dir *other = other_state;
    make_known(dir);
    kvstore *store = open_plain(other);
    must_set(store, "key-1", "elsewhere");
    kvstore_close(store);

    char *bytes = store_dir_read(other, KV_INDEX_NAME, &size);
    store_dir_write(dir, KV_INDEX_NAME, bytes, size);

    assert_heals(dir);
    free(bytes);
    assert_int_equal(store_dir_tear_down(&other_state), 0);
}

/* An index from before more was written, and one from before the log was
 * another. */
static void index_from_before_is_brought_up_or_not_read(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 0;
    for (int has_compacted = 0; has_compacted < 2; has_compacted++) {
        kvstore *store = open_plain(dir);
        must_set(store, "key-1", "before");
        kvstore_close(store);
        char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
        store = open_plain(dir);
        write_known(store);
        if (has_compacted != 0) {
            must_compact(store);
        }
        kvstore_close(store);

        store_dir_write(dir, KV_INDEX_NAME, bytes, size);

        assert_heals(dir);
        free(bytes);
    }
}

static void index_cut_short_is_built_anew(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
    const uint64_t sizes[] = {size - 1,
                              size - SLOT_PAGE_SIZE,
                              KV_TABLE_HEADER_SIZE,
                              KV_TABLE_HEADER_SIZE - 1,
                              1,
                              0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        store_dir_truncate(dir, KV_INDEX_NAME, sizes[i]);

        assert_heals(dir);
    }
}

/* --- While two handles have it open --- */

struct two {
    const struct store_dir *dir;
    kvstore *one;
    kvstore *other;
};

static struct two open_two(void **state)
{
    struct two two = {.dir = *state};
    make_known(two.dir);
    two.one = open_plain(two.dir);
    two.other = open_plain(two.dir);
    return two;
}

static void close_two(struct two *two)
{
    assert_known(two->one);
    assert_known(two->other);
    assert_int_equal(checked_stats(two->one).keys, KNOWN_KEYS);
    assert_int_equal(checked_stats(two->other).keys, KNOWN_KEYS);
    kvstore_close(two->one);
    kvstore_close(two->other);
    assert_heals(two->dir);
}

static void deletion_is_noticed(void **state)
{
    struct two two = open_two(state);
    remove_index(two.dir);
    rest(20);

    assert_value(two.one, "key-1", value_of(1));

    assert_true(store_dir_has(two.dir, KV_INDEX_NAME));
    assert_in_touch(two.one, two.other);
    close_two(&two);
}

/* Both still use the same index, until they check its name. */
static void deletion_not_noticed_yet_is_harmless(void **state)
{
    struct two two = open_two(state);
    for (int i = 0; i < 3; i++) {
        remove_index(two.dir);

        assert_in_touch(two.one, two.other);
        kvstore *third = open_plain(two.dir);
        assert_in_touch(third, two.one);
        assert_in_touch(two.other, third);
        kvstore_close(third);
        assert_in_touch(two.one, two.other);
    }
    close_two(&two);
}

static void replacement_is_noticed(void **state)
{
    struct two two = open_two(state);
    store_dir_write(two.dir, "file", "hello\n", 6);
    char from[sizeof two.dir->path + 64];
    (void)snprintf(from, sizeof from, "%s", store_dir_path(two.dir, "file"));
    assert_int_equal(rename(from, store_dir_path(two.dir, KV_INDEX_NAME)), 0);
    rest(20);

    assert_in_touch(two.one, two.other);

    close_two(&two);
}

static void slot_at_an_older_record_loses_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    must_set(store, "key", "2");
    struct stored_slot slot = find_slot(dir, "key");
    slot.entry.pointer.offset = 0;
    store_slot(dir, &slot);
    assert_value(other, "key", "1");

    must_compact(store);

    assert_value(store, "key", "2");
    assert_value(other, "key", "2");
    kvstore_close(store);
    kvstore_close(other);
}

/* --- The word that says what the last writer was at --- */

static uint64_t writing_of(const struct store_dir *dir)
{
    return load_header_word(dir, HEADER_AT(writing));
}

static bool see_log_damage(void *context, const kvstore_damage *damage)
{
    (void)context;
    assert_int_not_equal(damage->kind, KVSTORE_DAMAGE_INDEX);
    assert_int_not_equal(damage->kind, KVSTORE_DAMAGE_COUNTS);
    return true;
}

/* Whatever is wrong with the log, the index and its counts are exact. */
static void assert_index_is_exact(kvstore *store)
{
    bool has_damage = checked_stats(store).damaged_records > 0;
    assert_int_equal(kvstore_verify(store, see_log_damage, NULL),
                     has_damage ? KVSTORE_CORRUPT : KVSTORE_OK);
}

enum operation { OVERWRITES, SETS_ANEW, REMOVES, FOLDS, OPERATION_COUNT };

#define DIED 7
static int steps_left;
static char fresh[32]; /* A key that there never was. */

static void dying_step(const char *name)
{
    (void)name;
    if (steps_left-- == 0) {
        _exit(DIED);
    }
}

static void operate(kvstore *store, enum operation operation)
{
    kvstore_status status = KVSTORE_OK;
    if (operation == OVERWRITES) {
        status = try_set(store, "key-1", "changed");
    } else if (operation == SETS_ANEW) {
        status = try_set(store, fresh, "changed");
    } else if (operation == REMOVES) {
        status = kvstore_remove(store, "key-1", 5);
    }
    if (status != KVSTORE_OK) {
        _exit(EXIT_FAILURE);
    }
}

/* In a child: it opens the store, which folds what was appended by hand, and
 * writes; and dies at a step. */
static _Noreturn void be_dying_writer(const struct store_dir *dir,
                                      enum operation operation,
                                      int step)
{
    kvstore *store = NULL;
    kvstore_options options = plain_options();
    struct kv_io_table table = *kv_io_system_table();
    table.step = dying_step;
    steps_left = step;
    kv_io_swap_table(&table);
    if (kvstore_open(dir->path, &options, &store) != KVSTORE_OK) {
        _exit(EXIT_FAILURE);
    }
    operate(store, operation);
    kvstore_close(store);
    _exit(EXIT_SUCCESS);
}

/* True if it died; false if there are fewer steps. */
static bool lose_writer(const struct store_dir *dir,
                        enum operation operation,
                        int step)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        be_dying_writer(dir, operation, step);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == DIED ||
                WEXITSTATUS(status) == EXIT_SUCCESS);
    return WEXITSTATUS(status) == DIED;
}

static void append_damage_and_line(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "rot", "1");
    log_text_set(&text, fresh, "changed");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

/* What the writer's line says holds if the line is in the log. */
static void assert_operated(const kvstore *store,
                            enum operation operation,
                            bool was_written)
{
    if (was_written && operation == REMOVES) {
        assert_absent(store, "key-1");
    } else {
        assert_value(store,
                     "key-1",
                     was_written && operation == OVERWRITES ? "changed"
                                                            : value_of(1));
    }
    if (was_written && (operation == SETS_ANEW || operation == FOLDS)) {
        assert_value(store, fresh, "changed");
    } else {
        assert_absent(store, fresh);
    }
    if (operation == FOLDS) {
        assert_int_equal(try_get(store, "rot"), KVSTORE_CORRUPT);
    }
}

/* Brings back what there was to begin with. */
static void undo(kvstore *store)
{
    must_set(store, "key-1", value_of(1));
    any_status(kvstore_remove(store, fresh, strlen(fresh)));
}

/* A handle that was open before need not see the line, before somebody writes;
 * but all else. */
static void read_before_any_write(const kvstore *store)
{
    kvstore_status status = try_get(store, "key-1");
    assert_true(status == KVSTORE_OK || status == KVSTORE_NOT_FOUND);
    assert_value(store, "key-2", value_of(2));
    assert_absent(store, "key-7");
}

/* The next one that comes is a handle that was open before, or a new one, and
 * reads first, or writes. */
static bool try_death(const struct store_dir *dir,
                      enum operation operation,
                      int step,
                      bool is_new,
                      bool reads_first)
{
    static int number;
    kvstore *store = open_plain(dir);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    (void)snprintf(fresh, sizeof fresh, "fresh-%d", number++);
    if (operation == FOLDS) {
        append_damage_and_line(dir);
    }
    bool has_died = lose_writer(dir, operation, step);
    bool was_written = store_dir_file_size(dir, KV_LOG_NAME) > size;
    if (is_new) {
        kvstore_close(store);
        store = open_plain(dir);
    }
    if (reads_first && is_new) {
        assert_operated(store, operation, was_written);
    } else if (reads_first) {
        read_before_any_write(store);
    }
    must_set(store, "next", "2");
    assert_value(store, "next", "2");
    assert_operated(store, operation, was_written);
    assert_int_equal(writing_of(dir), KV_TABLE_AT_REST);
    assert_index_is_exact(store);
    undo(store);
    assert_known(store);
    kvstore_close(store);
    return has_died;
}

static void assert_deaths_lose_nothing(const struct store_dir *dir,
                                       enum operation operation,
                                       int least_steps)
{
    make_known(dir);
    for (int i = 0; i < 4; i++) {
        int step = 0;
        while (try_death(dir, operation, step, i % 2 == 0, i / 2 == 0)) {
            step++;
        }
        assert_true(step >= least_steps);
    }
}

/* Steps: appending; publishing; end; slot; half of the totals; all; at rest. A
 * new key has one more, and damage. */
static void writer_that_dies_at_any_step_loses_nothing(void **state)
{
    assert_deaths_lose_nothing(*state, OVERWRITES, 7);
    assert_deaths_lose_nothing(*state, SETS_ANEW, 8);
    assert_deaths_lose_nothing(*state, REMOVES, 7);
}

static void fold_that_dies_at_any_step_loses_nothing(void **state)
{
    assert_deaths_lose_nothing(*state, FOLDS, 9);
}

/* A write of which half gets there, and cannot be cut off. */
static struct kv_io_table broken;

static ssize_t half_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (size < 10) {
        errno = ENOSPC;
        return -1;
    }
    return kv_io_system_table()->pwrite(fd, bytes, size / 2, offset);
}

static int failing_ftruncate(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = EIO;
    return -1;
}

static void failed_cut_leaves_the_writer_appending(void **state)
{
    struct two two = open_two(state);
    for (int i = 0; i < 2; i++) {
        kvstore *next = i == 0 ? two.one : two.other;
        must_set(two.one, "key-1", value_of(1));
        assert_int_equal(writing_of(two.dir), KV_TABLE_AT_REST);
        broken = *kv_io_system_table();
        broken.pwrite = half_pwrite;
        broken.ftruncate = failing_ftruncate;

        kv_io_swap_table(&broken);
        kvstore_status status = try_set(two.one, "key-1", "never to be seen");
        kv_io_swap_table(kv_io_system_table());

        assert_int_equal(status, KVSTORE_IO);
        assert_int_equal(writing_of(two.dir), KV_TABLE_APPENDING);
        assert_value(two.other, "key-1", value_of(1));
        must_set(next, "key-2", value_of(2));
        assert_int_equal(writing_of(two.dir), KV_TABLE_AT_REST);
        assert_index_is_exact(two.one);
        assert_int_equal(checked_stats(two.other).log_bytes,
                         store_dir_file_size(two.dir, KV_LOG_NAME));
    }
    close_two(&two);
}

/* The half of it that is there says nothing: the cut works. */
static void failed_append_leaves_the_log_at_rest(void **state)
{
    struct two two = open_two(state);
    uint64_t size = store_dir_file_size(two.dir, KV_LOG_NAME);
    broken = *kv_io_system_table();
    broken.pwrite = half_pwrite;

    kv_io_swap_table(&broken);
    kvstore_status status = try_set(two.one, "key-1", "never to be seen");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_IO);
    assert_int_equal(store_dir_file_size(two.dir, KV_LOG_NAME), size);
    assert_int_equal(writing_of(two.dir), KV_TABLE_AT_REST);
    must_set(two.other, "key-1", value_of(1));
    close_two(&two);
}

#define PADDED_SETS 300

/* In a child: writes over padding, and dies with all of it in place. */
static void lose_exclusive_writer(const struct store_dir *dir)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        kvstore *store = NULL;
        kvstore_options options = plain_options();
        options.exclusive = true;
        bool is_well = kvstore_open(dir->path, &options, &store) == KVSTORE_OK;
        for (int i = 0; i < PADDED_SETS && is_well; i++) {
            is_well = try_set(store, "padded", "value") == KVSTORE_OK;
        }
        _exit(is_well && kv_log_is_padded(&store->log) ? DIED : EXIT_FAILURE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == DIED);
}

static void padding_of_a_dead_writer_is_mended_by_the_next(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (int is_new = 0; is_new < 2; is_new++) {
        kvstore *store = open_plain(dir);
        lose_exclusive_writer(dir);
        assert_int_equal(writing_of(dir), KV_TABLE_APPENDING);
        if (is_new != 0) {
            kvstore_close(store);
            store = open_plain(dir);
        }

        must_set(store, "next", "1");

        assert_value(store, "padded", "value");
        assert_value(store, "next", "1");
        assert_int_equal(writing_of(dir), KV_TABLE_AT_REST);
        assert_index_is_exact(store);
        assert_int_equal(checked_stats(store).log_bytes,
                         store_dir_file_size(dir, KV_LOG_NAME));
        assert_int_equal(kvstore_remove(store, "padded", 6), KVSTORE_OK);
        assert_int_equal(kvstore_remove(store, "next", 4), KVSTORE_OK);
        kvstore_close(store);
    }
    assert_heals(dir);
}

static void exclusive_writer_that_closes_is_at_rest(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.exclusive = true;
    kvstore *store = open_with(dir, &options);
    for (int i = 0; i < PADDED_SETS; i++) {
        must_set(store, "padded", "value");
    }
    assert_true(kv_log_is_padded(&store->log));
    assert_int_equal(writing_of(dir), KV_TABLE_APPENDING);

    kvstore_close(store);

    store = open_plain(dir);
    must_set(store, "next", "1");
    assert_int_equal(writing_of(dir), KV_TABLE_AT_REST);
    assert_value(store, "padded", "value");
    assert_index_is_exact(store);
    kvstore_close(store);
}

/* Each of them looks at the names before the tail is there, so that the next
 * set has but the word to go by. */
static void torn_tail_that_a_reader_met_is_cut_by_the_next_set(void **state)
{
    static const char torn[] = "{\"Set\":{\"key\":\"key-1\",\"val\":\"tor";
    struct two two = open_two(state);
    for (int i = 0; i < 2; i++) {
        kvstore *next = i == 0 ? two.one : two.other;
        must_set(two.one, "key-1", value_of(1));
        store_dir_append(two.dir, KV_LOG_NAME, torn, sizeof torn - 1);
        kvstore *reader = open_plain(two.dir);
        assert_value(reader, "key-1", value_of(1));
        assert_int_equal(writing_of(two.dir), KV_TABLE_APPENDING);

        must_set(next, "key-2", value_of(2));

        assert_int_equal(writing_of(two.dir), KV_TABLE_AT_REST);
        assert_value(reader, "key-2", value_of(2));
        assert_index_is_exact(reader);
        kvstore_close(reader);
    }
    close_two(&two);
}

static void publishing_that_was_not_ended_has_the_index_built_anew(void **state)
{
    struct two two = open_two(state);
    uint64_t inode = two.one->index.memory.inode;
    store_header_word(two.dir, HEADER_AT(writing), KV_TABLE_PUBLISHING);

    must_set(two.one, "key-1", value_of(1));

    assert_int_not_equal(two.one->index.memory.inode, inode);
    assert_int_equal(writing_of(two.dir), KV_TABLE_AT_REST);
    assert_value(two.other, "key-1", value_of(1));
    assert_int_equal(two.other->index.memory.inode,
                     two.one->index.memory.inode);
    close_two(&two);
}

/* --- What a set asks the system --- */

static struct {
    struct kv_io_table table;
    int64_t now_ns;
    int looks;
} asked;

static int64_t frozen_clock(void)
{
    return asked.now_ns;
}

static int counted_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    asked.looks++;
    return kv_io_system_table()->fstatat(dir_fd, name, stat_out);
}

static int counted_fstat(int fd, struct stat *stat_out)
{
    asked.looks++;
    return kv_io_system_table()->fstat(fd, stat_out);
}

static off_t counted_file_end(int fd)
{
    asked.looks++;
    return kv_io_system_table()->file_end(fd);
}

static void begin_asking(void)
{
    asked.table = *kv_io_system_table();
    asked.now_ns = asked.table.clock_coarse_ns();
    asked.table.clock_coarse_ns = frozen_clock;
    asked.table.fstatat = counted_fstatat;
    asked.table.fstat = counted_fstat;
    asked.table.file_end = counted_file_end;
    kv_io_swap_table(&asked.table);
}

/* Sets, and returns how often that looked at a file or a name. */
static int looks_of_set(kvstore *store)
{
    asked.looks = 0;
    must_set(store, "key-1", value_of(1));
    return asked.looks;
}

static void shared_set_believes_the_word_for_10_ms(void **state)
{
    struct two two = open_two(state);
    begin_asking();
    (void)looks_of_set(two.one);
    (void)looks_of_set(two.other);

    assert_int_equal(looks_of_set(two.one), 0);
    assert_int_equal(looks_of_set(two.other), 0);
    atomic_store(&two.one->index.table.header->writing, KV_TABLE_APPENDING);
    assert_int_equal(looks_of_set(two.other), 1); /* At the log's end. */
    assert_int_equal(looks_of_set(two.one), 0);
    asked.now_ns += 10000000;
    assert_true(looks_of_set(two.one) >= 2);
    assert_int_equal(looks_of_set(two.one), 0);

    kv_io_swap_table(kv_io_system_table());
    close_two(&two);
}

/* They add up, but to no log: a set that believed them would write over the
 * lines. */
static void totals_that_vanish_under_a_handle_lose_nothing(void **state)
{
    struct two two = open_two(state);
    size_t size = 0;
    size_t size_after = 0;
    begin_asking();
    (void)looks_of_set(two.one);
    char *before = store_dir_read(two.dir, KV_LOG_NAME, &size);
    struct kv_table_totals none = kv_table_no_totals();
    kv_table_store_totals(&two.one->index.table, &none);

    must_set(two.one, "key-2", value_of(2));

    kv_io_swap_table(kv_io_system_table());
    char *after = store_dir_read(two.dir, KV_LOG_NAME, &size_after);
    assert_true(size_after > size);
    assert_memory_equal(after, before, size);
    free(before);
    free(after);
    close_two(&two);
}

/* --- Lines that others append --- */

static void new_handle_sees_an_appended_line(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    append_by_hand(dir, "1");

    kvstore *other = open_plain(dir);

    assert_value(other, "hand", "1");
    assert_value(store, "hand", "1");
    kvstore_close(store);
    kvstore_close(other);
}

static void next_write_brings_an_appended_line(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    append_by_hand(dir, "1");
    rest(20);

    must_set(store, "key", "2");

    assert_value(store, "hand", "1");
    assert_value(other, "hand", "1");
    assert_value(other, "key", "2");
    assert_int_equal(checked_stats(other).keys, 2);
    kvstore_close(store);
    kvstore_close(other);
}

/* More than the index has room for. */
static void many_appended_lines_are_seen(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    append_many_by_hand(dir);
    rest(20);

    must_set(store, "key", "2");

    assert_many(store);
    assert_many(other);
    assert_int_equal(checked_stats(store).keys, MANY_KEYS + 1);
    assert_in_touch(store, other);
    kvstore_close(store);
    kvstore_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(end_that_is_past_the_log_is_not_believed),
        STORE_TEST(index_without_an_empty_slot_is_built_anew),
        STORE_TEST(deleted_index_is_built_anew),
        STORE_TEST(other_file_in_its_place_is_not_read),
        STORE_TEST(overwritten_index_is_built_anew),
        STORE_TEST(overwritten_header_is_built_anew),
        STORE_TEST(index_of_another_byte_order_is_built_anew),
        STORE_TEST(index_of_the_former_format_is_built_anew),
        STORE_TEST(overwritten_totals_are_built_anew),
        STORE_TEST(emptied_slots_lose_nothing),
        STORE_TEST(wild_slots_lose_nothing),
        STORE_TEST(wrong_word_in_the_header_is_harmless),
        STORE_TEST(index_of_another_store_is_not_read),
        STORE_TEST(index_from_before_is_brought_up_or_not_read),
        STORE_TEST(index_cut_short_is_built_anew),
        STORE_TEST(deletion_is_noticed),
        STORE_TEST(deletion_not_noticed_yet_is_harmless),
        STORE_TEST(replacement_is_noticed),
        STORE_TEST(slot_at_an_older_record_loses_nothing),
        STORE_TEST(writer_that_dies_at_any_step_loses_nothing),
        STORE_TEST(fold_that_dies_at_any_step_loses_nothing),
        STORE_TEST(failed_cut_leaves_the_writer_appending),
        STORE_TEST(failed_append_leaves_the_log_at_rest),
        STORE_TEST(padding_of_a_dead_writer_is_mended_by_the_next),
        STORE_TEST(exclusive_writer_that_closes_is_at_rest),
        STORE_TEST(torn_tail_that_a_reader_met_is_cut_by_the_next_set),
        STORE_TEST(publishing_that_was_not_ended_has_the_index_built_anew),
        STORE_TEST(shared_set_believes_the_word_for_10_ms),
        STORE_TEST(totals_that_vanish_under_a_handle_lose_nothing),
        STORE_TEST(new_handle_sees_an_appended_line),
        STORE_TEST(next_write_brings_an_appended_line),
        STORE_TEST(many_appended_lines_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
