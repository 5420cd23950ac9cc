/* SPDX-License-Identifier: MIT */

/* Do the marks agree with the index, whatever it holds and however large the
 * log is? */

#include "index/table.h"
#include "os/bounds.h"
#include "os/file.h"
#include "store/compaction_marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static struct kv_table table_of(const uint64_t *offsets,
                                size_t count,
                                bool is_flagged)
{
    void *region = calloc(1, kv_table_region_size(KV_TABLE_LEVEL_MIN));
    assert_non_null(region);
    struct kv_table table = kv_table_format(region, KV_TABLE_LEVEL_MIN, 42);
    struct kv_table_totals totals = kv_table_no_totals();
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = kv_table_hash(&table, &offsets[i], sizeof offsets[i]);
        struct kv_table_probe probe = kv_table_probe_start(&table, hash);
        struct kv_table_entry entry;
        while (kv_table_probe_next(&table, &probe, &entry)) {
        }
        assert_true(probe.has_place);
        kv_table_put(&table, &totals, &probe, offsets[i], is_flagged);
    }
    return table;
}

/* Checks each offset of the list, and those next to it. */
static void assert_marks(const uint64_t *offsets, size_t count)
{
    struct kv_table table = table_of(offsets, count, false);
    struct kv_compaction_marks *marks =
        kv_compaction_marks_create(&table, offsets[count - 1] + 1);
    assert_non_null(marks);
    for (size_t i = 0; i < count; i++) {
        const uint64_t span = KV_COMPACTION_MARK_SPAN;
        uint64_t before = i == 0 ? 0 : offsets[i - 1] + span;
        if (offsets[i] >= before + span) {
            assert_false(kv_compaction_marks_have(marks, offsets[i] - span));
        }
        assert_true(kv_compaction_marks_have(marks, offsets[i]));
        if (i + 1 == count || offsets[i] + 2 * span <= offsets[i + 1]) {
            assert_false(kv_compaction_marks_have(marks, offsets[i] + span));
        }
    }
    kv_io_free(marks);
    free(table.header);
}

static void neighbours_are_told_apart(void **state)
{
    (void)state;
    const uint64_t offsets[] = {0, 16, 33, 81, 1007, 1024, 1041};
    assert_marks(offsets, sizeof offsets / sizeof offsets[0]);
}

static void large_log_has_several_windows(void **state)
{
    (void)state;
    const uint64_t offsets[] = {5,
                                127 * MIB,
                                128 * MIB - 16,
                                128 * MIB,
                                129 * MIB + 7,
                                300 * MIB,
                                5000 * MIB + 1,
                                5000 * MIB + 18,
                                KV_OFFSET_MAX - 32};
    assert_marks(offsets, sizeof offsets / sizeof offsets[0]);
}

static void many_are_all_marked(void **state)
{
    (void)state;
    uint64_t offsets[700];
    for (uint64_t i = 0; i < 700; i++) {
        offsets[i] = i * MIB + i * i % 977;
    }
    assert_marks(offsets, 700);
}

static void flagged_lines_are_not_marked(void **state)
{
    (void)state;
    const uint64_t offset = 1600;
    struct kv_table table = table_of(&offset, 1, true);
    struct kv_compaction_marks *marks =
        kv_compaction_marks_create(&table, offset + 100);
    assert_non_null(marks);
    assert_false(kv_compaction_marks_have(marks, offset));
    kv_io_free(marks);
    free(table.header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_told_apart),
        cmocka_unit_test(large_log_has_several_windows),
        cmocka_unit_test(many_are_all_marked),
        cmocka_unit_test(flagged_lines_are_not_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
