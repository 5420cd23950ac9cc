/* SPDX-License-Identifier: MIT */

/* Does log/padding.c find where the lines end, though the writer cuts its padding
 * off meanwhile, or a read fails? */

#include "log/padding.h"
#include "os/file.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAME "lines"
#define LINES "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"

static struct {
    struct kv_io_table table;
    int fails_in;
    bool is_short; /* Then there is less than was asked for; else EIO. */
} world;

static ssize_t faulty_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (world.fails_in > 0 && --world.fails_in == 0) {
        errno = EIO;
        world.fails_in = world.is_short ? 1 : 0; /* The end stays there. */
        return world.is_short ? 0 : -1;
    }
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.table = *kv_io_system_table();
    world.table.pread = faulty_pread;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define CUT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* A line, half of one, and padding up to the end of its unit. */
static struct kv_io_file open_padded(const struct store_dir *dir)
{
    struct kv_io_file file;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, LINES);
    log_text_add(&text, "{\"Set\":{\"key");
    log_text_fill(&text, KV_LOG_PADDING_BYTE, KV_PADDING_UNIT - text.size - 1);
    log_text_add(&text, "\n");
    store_dir_write(dir, NAME, text.bytes, text.size);
    log_text_release(&text);
    assert_int_equal(kv_io_open(&dir->directory, NAME, KV_IO_READ, &file),
                     KVSTORE_OK);
    return file;
}

/* If the end cannot be told, it is none that would cut a line short. */
static void padding_that_is_cut_meanwhile_ends_no_line(void **state)
{
    struct kv_io_file file = open_padded(*state);
    const uint64_t size = KV_PADDING_UNIT;
    uint64_t end = 0;
    world.is_short = true;
    int count = 0;
    for (int n = 1; end != strlen(LINES); n++) {
        assert_true(n < 100);
        world.fails_in = n;

        assert_int_equal(kv_log_padding_find_end(&file, size, &end),
                         KVSTORE_OK);

        assert_true(end >= strlen(LINES) && end <= size);
        count += end != strlen(LINES) ? 1 : 0;
    }
    assert_true(count > 1);
    world.fails_in = 0;
    kv_io_close(&file);
}

static void failed_read_of_the_end_is_told(void **state)
{
    struct kv_io_file file = open_padded(*state);
    const uint64_t size = KV_PADDING_UNIT;
    int failed = 0;
    kvstore_status status = KVSTORE_IO;
    for (int n = 1; status != KVSTORE_OK; n++) {
        uint64_t end = 0;
        assert_true(n < 100);
        world.fails_in = n;

        status = kv_log_padding_find_end(&file, size, &end);

        assert_true(status == KVSTORE_OK ? end == strlen(LINES)
                                         : status == KVSTORE_IO);
        failed += status != KVSTORE_OK ? 1 : 0;
    }
    assert_true(failed > 1);
    world.fails_in = 0;
    kv_io_close(&file);
}

/* A newline where padding may end is none of padding by itself. */
static void lines_that_fill_a_unit_are_not_padding(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_file file;
    struct log_text text = LOG_TEXT_EMPTY;
    uint64_t end = 0;
    bool is_padding = true;
    log_text_fill(&text, 'x', KV_PADDING_UNIT - 1);
    log_text_add(&text, "\n");
    store_dir_write(dir, NAME, text.bytes, text.size);
    assert_int_equal(kv_io_open(&dir->directory, NAME, KV_IO_READ, &file),
                     KVSTORE_OK);

    assert_int_equal(kv_log_padding_find_end(&file, text.size, &end),
                     KVSTORE_OK);

    assert_int_equal(end, text.size);
    assert_int_equal(
        kv_log_padding_find(&file, text.size - 4096, text.size, &is_padding),
        KVSTORE_OK);
    assert_false(is_padding);
    world.fails_in = 1;
    is_padding = true;
    assert_int_equal(
        kv_log_padding_find(&file, text.size - 4096, text.size, &is_padding),
        KVSTORE_IO);
    assert_false(is_padding);
    kv_io_close(&file);
    log_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUT_TEST(padding_that_is_cut_meanwhile_ends_no_line),
        CUT_TEST(failed_read_of_the_end_is_told),
        CUT_TEST(lines_that_fill_a_unit_are_not_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
