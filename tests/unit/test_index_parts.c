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

static struct kv_table table_of(uint64_t bucket_count)
{
    struct kv_table_secret secret = {{42}};
    void *region = calloc(1, kv_table_region_size(bucket_count));
    assert_non_null(region);
    return kv_table_format(region, bucket_count, &secret);
}

/* How many slots wait for a part, here; and tables of one part, of four, and of
 * 64. */
#define CAPACITY KV_PARTS_CAPACITY
#define SMALL KV_TABLE_BUCKETS_MIN
#define MIDDLE 256u
#define LARGE 4096u

static struct visits *begin(uint64_t bucket_count)
{
    struct visits *visits = calloc(1, sizeof *visits);
    assert_non_null(visits);
    visits->table = table_of(bucket_count);
    assert_int_equal(
        kv_parts_create(&visits->table, visit, visits, &visits->parts),
        KVSTORE_OK);
    return visits;
}

static void end(struct visits *visits)
{
    kv_parts_free(visits->parts);
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

static void all_are_visited_once(unsigned count, uint64_t bucket_count)
{
    struct visits *visits = begin(bucket_count);
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
        all_are_visited_once(count, SMALL);
        all_are_visited_once(count, MIDDLE);
    }
    all_are_visited_once(SLOTS_MAX, SMALL);
    all_are_visited_once(SLOTS_MAX, MIDDLE);
    all_are_visited_once(SLOTS_MAX, LARGE);
}

/* The first tag, the last one, and those around where a part ends. */
static void each_tag_has_a_part(void **state)
{
    (void)state;
    struct visits *visits = begin(LARGE);
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
    struct visits *visits = begin(LARGE);
    uint64_t part_size = UINT64_MAX / 64 + 1;
    for (uint64_t part = 64; part-- > 0;) {
        assert_int_equal(put(visits, part * part_size + 7, part), KVSTORE_OK);
    }
    assert_int_equal(visits->count, 0);
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(visits->slots[i].pointer, i);
    }
    end(visits);
}

static void slots_of_one_key_stay_in_order(void **state)
{
    (void)state;
    static uint64_t last_of[7];
    struct visits *visits = begin(LARGE);
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

static void small_table_keeps_all_in_order(void **state)
{
    (void)state;
    struct visits *visits = begin(SMALL);
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
    for (unsigned failing = 1; failing <= 100; failing++) {
        struct visits *visits = begin(MIDDLE);
        kvstore_status status = KVSTORE_OK;
        visits->failing = failing;
        for (unsigned i = 0; i < 100 && status == KVSTORE_OK; i++) {
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

/* As the table grows, there are more parts; slots that wait are visited first, in
 * the order of the table. */
static void parts_follow_a_table_that_grows(void **state)
{
    (void)state;
    struct visits *visits = begin(SMALL);
    for (unsigned i = 0; i < CAPACITY; i++) {
        if (i == CAPACITY - 1) {
            free(visits->table.header);
            visits->table = table_of(LARGE);
        }
        assert_int_equal(visits->count, 0);
        assert_int_equal(put(visits, tag_of(i), i), KVSTORE_OK);
    }
    assert_int_equal(visits->count, CAPACITY);
    for (uint64_t part = 64; part-- > 0;) {
        assert_int_equal(put(visits, (part << 58) + 7, part), KVSTORE_OK);
    }
    assert_int_equal(visits->count, CAPACITY);
    assert_int_equal(kv_parts_empty(visits->parts), KVSTORE_OK);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(visits->slots[CAPACITY + i].pointer, i);
    }
    end(visits);
}

static unsigned mallocs_left;

static void *few_mallocs(size_t size)
{
    return mallocs_left == 0
               ? NULL
               : (mallocs_left--, kv_io_system_table()->malloc(size));
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    struct kv_table none = {.bucket_count = 0};
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = few_mallocs;
    for (unsigned count = 0; count < 2; count++) {
        struct kv_parts *parts = NULL;
        mallocs_left = count;
        kv_io_swap_table(&table);
        kvstore_status status = kv_parts_create(&none, visit, NULL, &parts);
        kv_io_swap_table(kv_io_system_table());
        assert_int_equal(status, KVSTORE_NO_MEMORY);
        assert_null(parts);
    }
}

/* Also where it is for more parts. */
static void lack_of_memory_as_the_table_grows_is_told(void **state)
{
    (void)state;
    struct visits *visits = begin(SMALL);
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = few_mallocs;
    free(visits->table.header);
    visits->table = table_of(LARGE);
    mallocs_left = 0;
    kv_io_swap_table(&table);
    kvstore_status status = KVSTORE_OK;
    for (unsigned i = 0; i < CAPACITY; i++) {
        assert_int_equal(status, KVSTORE_OK);
        status = put(visits, tag_of(i), i);
    }
    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(status, KVSTORE_NO_MEMORY);
    end(visits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_is_visited_once),
        cmocka_unit_test(each_tag_has_a_part),
        cmocka_unit_test(parts_follow_each_other_as_in_the_table),
        cmocka_unit_test(slots_of_one_key_stay_in_order),
        cmocka_unit_test(small_table_keeps_all_in_order),
        cmocka_unit_test(failure_ends_the_visits),
        cmocka_unit_test(parts_follow_a_table_that_grows),
        cmocka_unit_test(lack_of_memory_is_told),
        cmocka_unit_test(lack_of_memory_as_the_table_grows_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
