/* SPDX-License-Identifier: MIT */

/* Does log.c keep its header's word about the log's end? */

#include "log/log.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNIT ((size_t)64 << 10) /* What is padded at once. */
#define EXT4 0xef53
#define WARM_UP 64 /* Appends before the first padding. */

/* A system whose disk and memory are what a test says. */
static struct {
    struct kv_io_table table;
    uint64_t disk_size; /* No byte goes past this. */
    unsigned writes;
    unsigned failing_write; /* 1: the first of an append; 0: none. */
    bool has_memory;
    bool can_cut;
} world;

static long told_type(int fd)
{
    (void)fd;
    return EXT4;
}

static ssize_t limited_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    uint64_t start = (uint64_t)offset;
    world.writes++;
    if (start >= world.disk_size || world.writes == world.failing_write) {
        errno = ENOSPC;
        return -1;
    }
    uint64_t room = world.disk_size - start;
    return kv_io_system_table()->pwrite(
        fd, bytes, size < room ? size : (size_t)room, offset);
}

static int limited_ftruncate(int fd, off_t size)
{
    if (!world.can_cut) {
        errno = EPERM;
        return -1;
    }
    return kv_io_system_table()->ftruncate(fd, size);
}

static void *limited_malloc(size_t size)
{
    return world.has_memory ? kv_io_system_table()->malloc(size) : NULL;
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.disk_size = UINT64_MAX;
    world.has_memory = true;
    world.can_cut = true;
    world.table = *kv_io_system_table();
    world.table.file_system_type = told_type;
    world.table.pwrite = limited_pwrite;
    world.table.ftruncate = limited_ftruncate;
    world.table.malloc = limited_malloc;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define END_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- A log and its lines --- */

enum way { BY_CALLS, MAPPED, OVER_PADDING };

/* A log, and the lines that must be in it. */
struct scene {
    const struct store_dir *dir;
    struct kv_log log;
    char *bytes;
    size_t end;
};

static struct scene open_scene(const struct store_dir *dir, enum way way)
{
    struct scene scene = {.dir = dir};
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    assert_int_equal(kv_log_open(&dir->directory, true, &scene.log),
                     KVSTORE_OK);
    if (way != BY_CALLS) {
        kv_log_open_tail(&scene.log, way == MAPPED);
    }
    scene.bytes = malloc((size_t)1 << 20);
    assert_non_null(scene.bytes);
    return scene;
}

static void close_scene(struct scene *scene)
{
    kv_log_close(&scene->log);
    free(scene->bytes);
}

/* Appends lines of these sizes. Where that fails, they are not to be there. */
static kvstore_status append(struct scene *scene,
                             const size_t *sizes,
                             size_t count)
{
    struct kv_log_bytes lines[8];
    size_t new_end = scene->end;
    for (size_t i = 0; i < count; i++) {
        char *line = scene->bytes + new_end;
        memset(line, 'a' + (int)(new_end % 26), sizes[i]);
        line[sizes[i] - 1] = '\n';
        lines[i] = (struct kv_log_bytes){.bytes = line, .size = sizes[i]};
        new_end += sizes[i];
    }
    world.writes = 0;
    kvstore_status status =
        kv_log_append(&scene->log, scene->end, lines, count);
    scene->end = status == KVSTORE_OK ? new_end : scene->end;
    return status;
}

static kvstore_status append_one(struct scene *scene, size_t size)
{
    return append(scene, &size, 1);
}

/* Appends until there is padding. */
static void warm_up(struct scene *scene)
{
    for (int i = 0; i < WARM_UP; i++) {
        assert_int_equal(append_one(scene, 10), KVSTORE_OK);
        assert_int_equal(world.writes, 1);
        assert_false(kv_log_is_padded(&scene->log));
    }
    assert_int_equal(append_one(scene, 10), KVSTORE_OK);
    assert_true(kv_log_is_padded(&scene->log));
}

/* The log is the lines, and from there to this size padding. */
static void assert_log(const struct scene *scene, uint64_t padded_size)
{
    size_t size = 0;
    char *bytes = store_dir_read(scene->dir, KV_LOG_NAME, &size);
    assert_int_equal(size, padded_size);
    assert_memory_equal(bytes, scene->bytes, scene->end);
    for (size_t i = scene->end; i < size; i++) {
        assert_int_equal(bytes[i], i + 1 < size ? '\t' : '\n');
    }
    assert_int_equal(kv_log_size_at(&scene->log, scene->end), padded_size);
    assert_int_equal(kv_log_is_padded(&scene->log), padded_size > scene->end);
    free(bytes);
}

/* --- Appending --- */

static void lines_follow_each_other(void **state)
{
    static const size_t sizes[] = {2, 700, 3, 10};
    struct scene scene = open_scene(*state, BY_CALLS);

    for (int i = 0; i < 2 * WARM_UP; i++) {
        assert_int_equal(append_one(&scene, 50), KVSTORE_OK);
        assert_int_equal(append(&scene, sizes, 4), KVSTORE_OK);
    }

    assert_log(&scene, scene.end);
    close_scene(&scene);
}

static void several_lines_are_one_call_if_they_fit(void **state)
{
    static const size_t fitting[] = {1000, KV_LOG_JOINED_SIZE_MAX - 1002, 2};
    static const size_t larger[] = {1000, KV_LOG_JOINED_SIZE_MAX - 1002, 3};
    struct scene scene = open_scene(*state, BY_CALLS);

    assert_int_equal(append(&scene, fitting, 3), KVSTORE_OK);
    assert_int_equal(world.writes, 1);
    assert_log(&scene, scene.end);
    assert_int_equal(append(&scene, larger, 3), KVSTORE_OK);
    assert_int_equal(world.writes, 3);

    assert_log(&scene, scene.end);
    close_scene(&scene);
}

static void several_lines_without_memory_are_a_call_each(void **state)
{
    static const size_t sizes[] = {20, 30, 40};
    struct scene scene = open_scene(*state, BY_CALLS);
    (void)kv_fail(KVSTORE_CONFLICT, "an older error");
    world.has_memory = false;

    assert_int_equal(append(&scene, sizes, 3), KVSTORE_OK);

    assert_int_equal(world.writes, 3);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_CONFLICT);
    assert_log(&scene, 90);
    close_scene(&scene);
}

static void lines_in_mapped_padding_cost_no_call(void **state)
{
    static const size_t sizes[] = {20, 3000, 2};
    struct scene scene = open_scene(*state, MAPPED);
    warm_up(&scene);

    assert_int_equal(append_one(&scene, 100), KVSTORE_OK);
    assert_int_equal(world.writes, 0);
    assert_int_equal(append(&scene, sizes, 3), KVSTORE_OK);
    assert_int_equal(world.writes, 0);

    assert_log(&scene, UNIT);
    close_scene(&scene);
}

static void lines_over_padding_are_one_call_and_leave_the_size(void **state)
{
    static const size_t sizes[] = {20, 3000, 2};
    struct scene scene = open_scene(*state, OVER_PADDING);
    warm_up(&scene);

    assert_int_equal(append_one(&scene, 100), KVSTORE_OK);
    assert_int_equal(world.writes, 1);
    assert_int_equal(append(&scene, sizes, 3), KVSTORE_OK);
    assert_int_equal(world.writes, 1);

    assert_log(&scene, UNIT);
    close_scene(&scene);
}

static void line_larger_than_padding_takes_it_away(void **state)
{
    for (enum way way = MAPPED; way <= OVER_PADDING; way++) {
        struct scene scene = open_scene(*state, way);
        warm_up(&scene);

        assert_int_equal(append_one(&scene, UNIT + 1), KVSTORE_OK);

        assert_int_equal(world.writes, 1);
        assert_log(&scene, scene.end);
        close_scene(&scene);
    }
}

/* --- What fails --- */

static void lines_not_written_whole_are_cut_off(void **state)
{
    static const size_t sizes[] = {20, 30, 40};
    for (int has_memory = 0; has_memory < 2; has_memory++) {
        for (uint64_t room = 0; room < 90; room++) {
            struct scene scene = open_scene(*state, BY_CALLS);
            assert_int_equal(append_one(&scene, 10), KVSTORE_OK);
            world.has_memory = has_memory != 0;
            world.disk_size = scene.end + room;

            assert_int_equal(append(&scene, sizes, 3), KVSTORE_IO);

            assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
            assert_log(&scene, 10);
            world.disk_size = UINT64_MAX;
            world.has_memory = true;
            close_scene(&scene);
        }
    }
}

static void line_that_fails_between_others_fails_all(void **state)
{
    static const size_t sizes[] = {20, 30, 40};
    struct scene scene = open_scene(*state, BY_CALLS);
    assert_int_equal(append_one(&scene, 10), KVSTORE_OK);
    world.has_memory = false;
    world.failing_write = 2;

    assert_int_equal(append(&scene, sizes, 3), KVSTORE_IO);

    assert_int_equal(world.writes, 2);
    assert_log(&scene, 10);
    close_scene(&scene);
}

static void padding_goes_with_a_line_not_written_whole(void **state)
{
    struct scene scene = open_scene(*state, OVER_PADDING);
    warm_up(&scene);
    world.disk_size = scene.end + 50;

    assert_int_equal(append_one(&scene, 100), KVSTORE_IO);

    assert_log(&scene, scene.end);
    world.disk_size = UINT64_MAX;
    assert_int_equal(append_one(&scene, 100), KVSTORE_OK);
    assert_log(&scene, UNIT);
    close_scene(&scene);
}

static void what_cannot_be_cut_off_shows_in_the_size(void **state)
{
    struct scene scene = open_scene(*state, BY_CALLS);
    assert_int_equal(append_one(&scene, 10), KVSTORE_OK);
    world.disk_size = scene.end + 50;
    world.can_cut = false;

    assert_int_equal(append_one(&scene, 100), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_int_equal(store_dir_file_size(*state, KV_LOG_NAME), 60);
    assert_int_equal(kv_log_size_at(&scene.log, 10), 10);
    close_scene(&scene);
}

static void append_past_lines_of_others_is_busy(void **state)
{
    struct scene scene = open_scene(*state, MAPPED);
    warm_up(&scene);
    store_dir_append(*state, KV_LOG_NAME, "by hand\n", 8);

    assert_int_equal(append_one(&scene, UNIT), KVSTORE_BUSY);

    assert_int_equal(world.writes, 0);
    assert_int_equal(store_dir_file_size(*state, KV_LOG_NAME), UNIT + 8);
    close_scene(&scene);
}

static void log_ends_at_the_largest_offset(void **state)
{
    struct scene scene = open_scene(*state, BY_CALLS);
    const struct kv_log_bytes lines[] = {{"one\n", 4}, {"two\n", 4}};

    for (uint64_t end = KV_OFFSET_MAX - 7; end <= KV_OFFSET_MAX + 1; end++) {
        world.writes = 0;
        assert_int_equal(kv_log_append(&scene.log, end, lines, 2),
                         KVSTORE_TOO_LARGE);
        assert_int_equal(world.writes, 0);
    }
    world.disk_size = 0; /* The call is made, and fails. */
    assert_int_equal(kv_log_append(&scene.log, KV_OFFSET_MAX - 8, lines, 2),
                     KVSTORE_IO);

    assert_int_equal(world.writes, 1);
    close_scene(&scene);
}

/* --- Cutting --- */

static void cut_takes_lines_and_padding_away(void **state)
{
    for (enum way way = BY_CALLS; way <= OVER_PADDING; way++) {
        struct scene scene = open_scene(*state, way);
        for (int i = 0; i <= WARM_UP; i++) {
            assert_int_equal(append_one(&scene, 10), KVSTORE_OK);
        }
        size_t end = scene.end;
        assert_int_equal(append_one(&scene, 100), KVSTORE_OK);
        scene.end = end;
        (void)kv_fail(KVSTORE_CONFLICT, "an older error");

        kv_log_cut(&scene.log, end);

        assert_int_equal(kvstore_last_error()->status, KVSTORE_CONFLICT);
        assert_log(&scene, end);
        assert_int_equal(append_one(&scene, 100), KVSTORE_OK);
        assert_log(&scene, way == BY_CALLS ? scene.end : UNIT);
        close_scene(&scene);
    }
}

static void failed_cut_keeps_the_error(void **state)
{
    struct scene scene = open_scene(*state, BY_CALLS);
    assert_int_equal(append_one(&scene, 10), KVSTORE_OK);
    (void)kv_fail(KVSTORE_CONFLICT, "an older error");
    world.can_cut = false;

    kv_log_cut(&scene.log, 0);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_CONFLICT);
    assert_log(&scene, 10);
    close_scene(&scene);
}

static void trim_takes_padding_away_and_nothing_else(void **state)
{
    for (enum way way = BY_CALLS; way <= OVER_PADDING; way++) {
        struct scene scene = open_scene(*state, way);
        for (int i = 0; i <= WARM_UP; i++) {
            assert_int_equal(append_one(&scene, 10), KVSTORE_OK);
        }

        kv_log_trim(&scene.log);

        assert_log(&scene, scene.end);
        close_scene(&scene);
    }
}

static void trim_leaves_lines_of_others(void **state)
{
    struct scene scene = open_scene(*state, MAPPED);
    warm_up(&scene);
    store_dir_append(*state, KV_LOG_NAME, "by hand\n", 8);
    (void)kv_fail(KVSTORE_CONFLICT, "an older error");

    kv_log_trim(&scene.log);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_CONFLICT);
    assert_int_equal(store_dir_file_size(*state, KV_LOG_NAME), UNIT + 8);
    close_scene(&scene);
}

static void log_that_is_not_open_has_no_padding(void **state)
{
    struct kv_log log = KV_LOG_NONE;
    (void)state;

    kv_log_trim(&log);

    assert_false(kv_log_is_padded(&log));
    assert_int_equal(kv_log_size_at(&log, 7), 7);
}

/* --- What readers find --- */

static bool has_more(const struct kv_log *log, uint64_t offset, uint64_t size)
{
    bool has_more = false;
    assert_int_equal(kv_log_has_more(log, offset, size, &has_more), KVSTORE_OK);
    return has_more;
}

static uint64_t find_end(const struct kv_log *log, uint64_t size)
{
    uint64_t end = 0;
    assert_int_equal(kv_log_find_end(log, size, &end), KVSTORE_OK);
    return end;
}

static void padding_of_another_handle_is_no_more(void **state)
{
    struct scene scene = open_scene(*state, MAPPED);
    struct kv_log log;
    warm_up(&scene);
    assert_int_equal(kv_log_open(&scene.dir->directory, false, &log),
                     KVSTORE_OK);

    assert_false(has_more(&log, scene.end, UNIT));
    assert_true(has_more(&log, scene.end - 10, UNIT));
    assert_int_equal(find_end(&log, UNIT), scene.end);

    assert_false(kv_log_is_padded(&log));
    assert_int_equal(kv_log_size_at(&log, scene.end), scene.end);
    kv_log_close(&log);
    close_scene(&scene);
}

static void lines_and_a_missing_newline_are_more(void **state)
{
    struct scene scene = open_scene(*state, BY_CALLS);
    assert_int_equal(append_one(&scene, 100), KVSTORE_OK);
    assert_int_equal(append_one(&scene, 100), KVSTORE_OK);

    assert_false(has_more(&scene.log, 200, 200));
    assert_true(has_more(&scene.log, 100, 200));
    assert_true(has_more(&scene.log, 201, 200));
    assert_int_equal(find_end(&scene.log, 200), 200);

    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        END_TEST(lines_follow_each_other),
        END_TEST(several_lines_are_one_call_if_they_fit),
        END_TEST(several_lines_without_memory_are_a_call_each),
        END_TEST(lines_in_mapped_padding_cost_no_call),
        END_TEST(lines_over_padding_are_one_call_and_leave_the_size),
        END_TEST(line_larger_than_padding_takes_it_away),
        END_TEST(lines_not_written_whole_are_cut_off),
        END_TEST(line_that_fails_between_others_fails_all),
        END_TEST(padding_goes_with_a_line_not_written_whole),
        END_TEST(what_cannot_be_cut_off_shows_in_the_size),
        END_TEST(append_past_lines_of_others_is_busy),
        END_TEST(log_ends_at_the_largest_offset),
        END_TEST(cut_takes_lines_and_padding_away),
        END_TEST(failed_cut_keeps_the_error),
        END_TEST(trim_takes_padding_away_and_nothing_else),
        END_TEST(trim_leaves_lines_of_others),
        END_TEST(log_that_is_not_open_has_no_padding),
        END_TEST(padding_of_another_handle_is_no_more),
        END_TEST(lines_and_a_missing_newline_are_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
