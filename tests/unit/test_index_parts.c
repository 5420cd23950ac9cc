/* SPDX-License-Identifier: MIT */

/* Does index/parts.c have each slot visited once, part by part, and those of a
 * part in order? Few slots wait for a part here, and parts are small. */

#include "index/parts.h"
#include "os/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SLOTS_MAX 5000u

/* What has been visited. A slot's pointer says when it was put. */
struct visits {
    struct kv_table table; /* Only prefetched. */
    struct kv_parts *parts;
    struct kv_table_slot slots[SLOTS_MAX];
    unsigned count;
    unsigned failing; /* The visit with this number fails. */
};

static kvstore_status visit(void *context, struct kv_table_slot slot)
{
    struct visits *visits = context;
    assert_true(visits->count < SLOTS_MAX);
    visits->slots[visits->count++] = slot;
    return visits->count == visits->failing ? KVSTORE_IO : KVSTORE_OK;
}

static struct visits *begin(uint64_t table_size)
{
    struct kv_table_secret secret = {{42}};
    void *region = calloc(1, kv_table_region_size(KV_TABLE_BUCKETS_MIN));
    struct visits *visits = calloc(1, sizeof *visits);
    assert_non_null(region);
    assert_non_null(visits);
    visits->table = kv_table_format(region, KV_TABLE_BUCKETS_MIN, &secret);
    assert_int_equal(
        kv_parts_create(
            &visits->table, table_size, visit, visits, &visits->parts),
        KVSTORE_OK);
    return visits;
}

static void end(struct visits *visits)
{
    kv_io_free(visits->parts);
    free(visits->table.header);
    free(visits);
}

/* The same numbers in each run, all bits of which differ. */
static uint64_t tag_of(uint64_t number)
{
    return (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static kvstore_status put(struct visits *visits, uint64_t tag, uint64_t number)
{
    return kv_parts_put(visits->parts,
                        (struct kv_table_slot){.tag = tag, .pointer = number});
}

static void all_are_visited_once(unsigned count, uint64_t table_size)
{
    struct visits *visits = begin(table_size);
    static unsigned times[SLOTS_MAX];
    for (unsigned i = 0; i < count; i++) {
        times[i] = 0;
        assert_int_equal(put(visits, tag_of(i), i), KVSTORE_OK);
    }
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    assert_int_equal(visits->count, count);
    for (unsigned i = 0; i < count; i++) {
        uint64_t number = visits->slots[i].pointer;
        assert_true(number < count);
        assert_true(visits->slots[i].tag == tag_of(number));
        times[number]++;
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(times[i], 1);
    }
    end(visits);
}

static void each_slot_is_visited_once(void **state)
{
    (void)state;
    for (unsigned count = 0; count < 100; count++) {
        all_are_visited_once(count, 0);
        all_are_visited_once(count, 1000);
    }
    all_are_visited_once(SLOTS_MAX, 0);
    all_are_visited_once(SLOTS_MAX, 1000);
    all_are_visited_once(SLOTS_MAX, UINT64_MAX);
}

/* The first tag, the last one, and those around where a part ends. */
static void each_tag_has_a_part(void **state)
{
    (void)state;
    struct visits *visits = begin(UINT64_MAX);
    unsigned count = 0;
    for (unsigned bits = 0; bits < 64; bits++) {
        uint64_t tag = UINT64_C(1) << bits;
        assert_int_equal(put(visits, tag - 1, count++), KVSTORE_OK);
        assert_int_equal(put(visits, tag, count++), KVSTORE_OK);
        assert_int_equal(put(visits, ~tag, count++), KVSTORE_OK);
        assert_int_equal(put(visits, UINT64_MAX - tag + 1, count++),
                         KVSTORE_OK);
    }
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    assert_int_equal(visits->count, count);
    end(visits);
}

/* Parts are so many that emptying goes through the table in order. */
static void parts_follow_each_other_as_in_the_table(void **state)
{
    (void)state;
    struct visits *visits = begin(1000);
    uint64_t part_size = UINT64_MAX / 4 + 1;
    for (uint64_t part = 4; part-- > 0;) {
        assert_int_equal(put(visits, part * part_size + 7, part), KVSTORE_OK);
    }
    assert_int_equal(visits->count, 0);
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(visits->slots[i].pointer, i);
    }
    end(visits);
}

static void slots_of_one_key_stay_in_order(void **state)
{
    (void)state;
    static uint64_t last_of[7];
    struct visits *visits = begin(1000);
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        assert_int_equal(put(visits, tag_of(i % 7), i + 1), KVSTORE_OK);
    }
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    assert_int_equal(visits->count, SLOTS_MAX);
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        uint64_t number = visits->slots[i].pointer;
        unsigned key = (unsigned)((number - 1) % 7);
        assert_true(number > last_of[key]);
        last_of[key] = number;
    }
    end(visits);
}

/* As an index in use needs it. */
static void one_part_keeps_all_in_order(void **state)
{
    (void)state;
    struct visits *visits = begin(0);
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        assert_int_equal(put(visits, tag_of(i), i), KVSTORE_OK);
    }
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        assert_int_equal(visits->slots[i].pointer, i);
    }
    end(visits);
}

static void failure_ends_the_visits(void **state)
{
    (void)state;
    for (unsigned failing = 1; failing <= 30; failing++) {
        struct visits *visits = begin(1000);
        kvstore_status status = KVSTORE_OK;
        visits->failing = failing;
        for (unsigned i = 0; i < 30 && status == KVSTORE_OK; i++) {
            status = put(visits, tag_of(i), i);
        }
        if (status == KVSTORE_OK) {
            status = kv_parts_empty(visits->parts);
        }
        assert_int_equal(status, KVSTORE_IO);
        assert_int_equal(visits->count, failing);
        end(visits);
    }
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    struct kv_table none = {.bucket_count = 0};
    struct kv_parts *parts = NULL;
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = no_malloc;
    kv_io_swap_table(&table);
    kvstore_status status = kv_parts_create(&none, 0, visit, NULL, &parts);
    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(status, KVSTORE_NO_MEMORY);
    assert_null(parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_is_visited_once),
        cmocka_unit_test(each_tag_has_a_part),
        cmocka_unit_test(parts_follow_each_other_as_in_the_table),
        cmocka_unit_test(slots_of_one_key_stay_in_order),
        cmocka_unit_test(one_part_keeps_all_in_order),
        cmocka_unit_test(failure_ends_the_visits),
        cmocka_unit_test(lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
