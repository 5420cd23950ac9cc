/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write is there after any one failure. Each
 * workload is run with each kind of failure at its first system call or
 * allocation, at the second, and so on until none is met any more; once, and
 * from there on. */

#include "fault_table.h"
#include "fault_trial.h"
#include "index/table.h"
#include "kvstore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Long enough that both its line and a read of it need an allocation. */
static char long_value[3000];

/* --- Stores to begin with --- */

static void absent(struct trial *trial)
{
    trial_expect(trial, "a", NULL);
}

static void some_keys(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"gone\",\"val\":\"1\"}}\n"
              "{\"Remove\":{\"key\":\"gone\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
    trial_expect(trial, "gone", NULL);
}

static void some_long_values(struct trial *trial)
{
    char text[2 * sizeof long_value];
    (void)snprintf(text,
                   sizeof text,
                   "{\"Set\":{\"key\":\"a\",\"val\":\"%s\"}}\n"
                   "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n",
                   long_value);
    trial_log(trial, text);
    trial_expect(trial, "a", long_value);
    trial_expect(trial, "b", "2");
}

static void torn_tail(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
              "{\"Set\":{\"key\":\"a\",\"val\":\"neve");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

static void torn_lines(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
              "\"key\":\"a\",\"val\":\"never\"\n"
              "\"key\":\"b\",\"val\":\"never\"\n"
              "{\"Set\":{\"key\"");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

#define TORN_KEPT \
    (sizeof "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n" \
            "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n" - \
     1)

static void unterminated(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

static void damaged(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"d\",\"val\":\"x\",\"sum\":\"00000000\"}}\n"
              "\n"
              "what is this\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

/* Up to the first damage. */
#define REPAIR_KEPT (sizeof "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n" - 1)

static void of_a_batch(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\",\"batch\":2}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\",\"batch\":1}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

static void foreign(struct trial *trial)
{
    trial_log(trial,
              "{ \"Set\" : {\"val\":\"1\", \"key\":\"a\", \"by\":[1,{}]} }\n"
              "{\"Set\": {\"key\":\"\\u0062\",\"val\":\"1\"}}\n"
              "{\"Set\": {\"key\":\"gone\",\"value\":\"1\"}}\n"
              "{ \"Remove\":{\"key\":\"gone\"}}\n"
              "{\"Set\": {\"key\":\"b\",\"val\":\"2\", \"n\":\"\\n\"}}");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
    trial_expect(trial, "gone", NULL);
}

/* As many keys as the smallest index holds without growing. */
#define FULL_KEYS 192u

static void full_index(struct trial *trial)
{
    static char text[FULL_KEYS * 48];
    size_t size = 0;
    for (unsigned i = 0; i < FULL_KEYS; i++) {
        size += (size_t)snprintf(text + size,
                                 sizeof text - size,
                                 "{\"Set\":{\"key\":\"k%u\",\"val\":\"%u\"}}\n",
                                 i,
                                 i);
    }
    trial_log(trial, text);
    trial_expect(trial, "k0", "0");
    trial_expect(trial, "k191", "191");
}

/* --- Workloads --- */

static void open_and_set(struct trial *trial)
{
    trial_arm(trial);
    (void)trial_open(trial, NULL);
    trial_set(trial, "a", "new");
}

static void open_get_and_set(struct trial *trial)
{
    trial_arm(trial);
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    trial_get(trial, "b");
    trial_set(trial, "c", "new");
    trial_get(trial, "b");
}

static void set(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set(trial, "c", "new");
    trial_get(trial, "c");
}

static void overwrite(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set(trial, "a", "new");
    trial_set(trial, "a", "newer");
    trial_get(trial, "a");
}

static void set_long(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set(trial, "b", long_value);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
}

static void write_batch(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_write(trial);
    trial_get(trial, "new");
}

static void write_batch_unsynced(struct trial *trial)
{
    const kvstore_options options = {.sync = KVSTORE_SYNC_NONE,
                                     .exclusive = true};
    (void)trial_open(trial, &options);
    trial_set(trial, "c", "1");
    trial_set(trial, "d", "1");
    trial_arm(trial);
    trial_write(trial);
    trial_sync(trial);
    trial_compact(trial);
}

static void write_batch_and_compact(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_write(trial);
    trial_compact(trial);
    trial_set(trial, "c", "new");
}

static void increment(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_increment(trial, "a", "2");
    trial_increment(trial, "count", "1");
    trial_get(trial, "a");
}

static void rm(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_remove(trial, "a");
    trial_get(trial, "a");
}

static void rm_missing(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_remove(trial, "gone");
    trial_remove(trial, "never");
}

static void get(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_get(trial, "a");
    trial_get(trial, "gone");
    trial_get_into(trial, "b");
    trial_get_into(trial, "never");
    trial_stats(trial);
}

static void compact(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_compact(trial);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
}

static void list(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_list(trial);
    trial_set(trial, "c", "new");
    trial_list(trial);
}

static void iterate(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_iterate(trial);
    trial_set(trial, "c", "new");
    trial_iterate(trial);
}

static void verify(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_verify(trial, false);
}

static void verify_damage(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_verify(trial, true);
}

static void inspect_privately(struct trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = true;
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_list(trial);
    trial_verify(trial, false);
    trial_close(trial);
}

static void repair(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_repair(trial);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
    trial_list(trial);
}

static void set_that_makes_compaction_due(struct trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 1;
    options.compaction_percent = 1;
    (void)trial_open(trial, &options);
    trial_arm(trial);
    trial_set(trial, "b", "new");
    trial_remove(trial, "b");
    trial_get(trial, "b");
}

static void after_another_has_compacted(struct trial *trial)
{
    kvstore *other = NULL;
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    if (kvstore_open(trial->path, NULL, &other) != KVSTORE_OK ||
        kvstore_compact(other) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    kvstore_close(other);
    trial_arm(trial);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
}

static void set_after_another_has_compacted(struct trial *trial)
{
    kvstore *other = NULL;
    (void)trial_open(trial, NULL);
    if (kvstore_open(trial->path, NULL, &other) != KVSTORE_OK ||
        kvstore_compact(other) != KVSTORE_OK ||
        kvstore_set(other, "c", 1, "3", 1) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    kvstore_close(other);
    trial_expect(trial, "c", "3");
    trial_arm(trial);
    trial_set(trial, "a", "new");
    trial_remove(trial, "c");
}

static void unsynced_sets_and_sync(struct trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    (void)trial_open(trial, &options);
    trial_arm(trial);
    trial_set(trial, "a", "new");
    trial_sync(trial);
    trial_set(trial, "c", "new");
    trial_sync(trial);
    trial_get(trial, "c");
}

static void exclusive(struct trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.exclusive = true;
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
    trial_set(trial, "a", "newer");
    trial_get(trial, "a");
    trial_remove(trial, "b");
    trial_get(trial, "b");
    trial_compact(trial);
    trial_set(trial, "b", "back");
    trial_get(trial, "b");
}

/* Makes enough sets that lines are copied to the mapped end of the log. */
static void exclusive_unsynced(struct trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.exclusive = true;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    (void)trial_open(trial, &options);
    for (int i = 0; i < 64; i++) {
        trial_set(trial, "a", "new");
    }
    trial_arm(trial);
    trial_set(trial, "a", "newer");
    trial_get(trial, "a");
    trial_set(trial, "b", long_value);
    trial_sync(trial);
    trial_remove(trial, "b");
    trial_get(trial, "b");
    trial_set(trial, "a", "newest");
    trial_close(trial);
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    trial_get(trial, "b");
}

static void grow(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set(trial, "one", "more");
    trial_set(trial, "k0", "new");
    trial_get(trial, "k191");
}

static void reopen_read_only(struct trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = true;
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_get(trial, "a");
    trial_get(trial, "b");
    trial_stats(trial);
    trial_close(trial);
}

static const struct trial_workload workloads[] = {
    {"open a new store", absent, open_and_set, 0, false},
    {"set", some_keys, set, SIZE_MAX, false},
    {"overwrite", some_keys, overwrite, SIZE_MAX, false},
    {"overwrite long values", some_long_values, overwrite, SIZE_MAX, false},
    {"set long values", some_long_values, set_long, SIZE_MAX, false},
    {"write a batch", some_keys, write_batch, SIZE_MAX, false},
    {"write a batch, unsynced, exclusive",
     some_keys,
     write_batch_unsynced,
     0,
     false},
    {"write a batch and compact", some_keys, write_batch_and_compact, 0, false},
    {"write a batch after a torn tail",
     torn_tail,
     write_batch,
     TORN_KEPT,
     false},
    {"write a batch beside damage", damaged, write_batch, SIZE_MAX, false},
    {"increment", some_keys, increment, SIZE_MAX, false},
    {"rm", some_keys, rm, SIZE_MAX, false},
    {"rm missing", some_keys, rm_missing, SIZE_MAX, false},
    {"get", some_keys, get, SIZE_MAX, false},
    {"get long values", some_long_values, get, SIZE_MAX, false},
    {"compact", some_keys, compact, 0, false},
    {"compact long values", some_long_values, compact, 0, false},
    {"compact damage", damaged, compact, 0, false},
    {"compact a batch", of_a_batch, compact, 0, false},
    {"list", some_keys, list, SIZE_MAX, false},
    {"list foreign lines", foreign, list, SIZE_MAX, false},
    {"iterate", some_keys, iterate, SIZE_MAX, false},
    {"iterate foreign lines", foreign, iterate, SIZE_MAX, false},
    {"verify", some_keys, verify, SIZE_MAX, false},
    {"verify foreign lines", foreign, verify, SIZE_MAX, false},
    {"verify damage", damaged, verify_damage, SIZE_MAX, false},
    {"list and verify, read-only",
     some_keys,
     inspect_privately,
     SIZE_MAX,
     false},
    {"repair", damaged, repair, REPAIR_KEPT, true},
    {"repair a sound log", some_keys, repair, SIZE_MAX, false},
    {"compaction due", some_keys, set_that_makes_compaction_due, 0, false},
    {"torn tail", torn_tail, open_and_set, TORN_KEPT, false},
    {"torn tail, reads", torn_tail, open_get_and_set, TORN_KEPT, false},
    {"torn lines", torn_lines, open_and_set, TORN_KEPT, true},
    {"unterminated", unterminated, open_and_set, SIZE_MAX, false},
    {"unterminated, reads", unterminated, open_get_and_set, SIZE_MAX, false},
    {"damage", damaged, open_get_and_set, SIZE_MAX, false},
    {"batch", of_a_batch, open_get_and_set, SIZE_MAX, false},
    {"foreign", foreign, open_get_and_set, SIZE_MAX, false},
    {"another compacted", some_keys, after_another_has_compacted, 0, false},
    {"another compacted and set",
     some_keys,
     set_after_another_has_compacted,
     0,
     false},
    {"sync", some_keys, unsynced_sets_and_sync, SIZE_MAX, false},
    {"exclusive", some_keys, exclusive, 0, false},
    {"exclusive, long values", some_long_values, exclusive, 0, false},
    {"exclusive, torn tail", torn_tail, exclusive, 0, false},
    {"exclusive, unsynced", some_keys, exclusive_unsynced, SIZE_MAX, false},
    {"grow", full_index, grow, SIZE_MAX, false},
    {"open to grow", full_index, open_and_set, SIZE_MAX, false},
    {"read-only", some_keys, reopen_read_only, SIZE_MAX, false},
    {"read-only, torn tail", torn_tail, reopen_read_only, SIZE_MAX, false},
};

/* --- The tests --- */

static void acknowledged_writes_survive_any_one_failure(void **state)
{
    (void)state;
    unsigned complaints = 0;
    uint64_t met = 0;
    const struct kv_table smallest = {.bucket_count = KV_TABLE_BUCKETS_MIN};
    assert_int_equal(kv_table_room(&smallest), FULL_KEYS);
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        met += trial_run_all(
            &workloads[i], fault_kinds, fault_kind_count, &complaints);
    }
    (void)printf("%llu faults met\n", (unsigned long long)met);

    assert_true(met > 5000);
    assert_int_equal(complaints, 0);
}

static void lack_of_memory_is_never_taken_for_damage(void **state)
{
    (void)state;
    static const struct fault_kind kind = {"no memory for cJSON",
                                           FAULT_BIT(FAULT_CJSON_MALLOC) |
                                               FAULT_BIT(FAULT_MALLOC),
                                           0,
                                           FAULT_NOTHING_DONE,
                                           true};
    static const struct trial_workload foreign_workloads[] = {
        {"foreign", foreign, open_get_and_set, SIZE_MAX, false},
        {"foreign, set", foreign, overwrite, SIZE_MAX, false},
        {"foreign, rm", foreign, rm, SIZE_MAX, false},
        {"foreign, get", foreign, get, SIZE_MAX, false},
        {"foreign, compact", foreign, compact, 0, false},
        {"foreign, exclusive", foreign, exclusive, 0, false},
    };
    unsigned complaints = 0;
    uint64_t met = 0;
    size_t count = sizeof foreign_workloads / sizeof *foreign_workloads;

    fault_table_hook_cjson(true);
    for (size_t i = 0; i < count; i++) {
        met += trial_run_all(&foreign_workloads[i], &kind, 1, &complaints);
    }
    fault_table_hook_cjson(false);
    (void)printf("%llu failed allocations\n", (unsigned long long)met);

    assert_true(met > 500);
    assert_int_equal(complaints, 0);
}

/* The harness itself must be able to fail: here the oracle expects what never
 * was there. */
static void expect_too_much(struct trial *trial)
{
    some_keys(trial);
    trial_expect(trial, "gone", "still here");
}

static void the_harness_can_fail(void **state)
{
    (void)state;
    static const struct trial_workload wrong = {
        "wrong on purpose", expect_too_much, set, SIZE_MAX, false};
    unsigned complaints = 0;

    uint64_t met =
        trial_run_all(&wrong, fault_kinds, fault_kind_count, &complaints);

    assert_true(complaints > met);
}

int main(void)
{
    memset(long_value, 'v', sizeof long_value - 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_writes_survive_any_one_failure),
        cmocka_unit_test(lack_of_memory_is_never_taken_for_damage),
        cmocka_unit_test(the_harness_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
