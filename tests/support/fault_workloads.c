/* SPDX-License-Identifier: MIT */

/* Writes, reads and openings of all kinds. */

#include "fault_workloads.h"

#include "fault_scenes.h"
#include "trial_changes.h"
#include "trial_oracle.h"
#include "trial_reads.h"

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
    trial_set(trial, "b", scene_long_value());
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
    trial_list(trial, NULL);
    trial_set(trial, "c", "new");
    trial_list(trial, NULL);
}

static void iterate(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_iterate(trial, NULL);
    trial_set(trial, "c", "new");
    trial_iterate(trial, NULL);
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
    trial_list(trial, NULL);
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
    trial_list(trial, NULL);
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
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    kvstore *other = scene_enter(trial, NULL);
    if (kvstore_compact(other) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    scene_leave(other);
    trial_arm(trial);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
}

static void set_after_another_has_compacted(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    kvstore *other = scene_enter(trial, NULL);
    if (kvstore_compact(other) != KVSTORE_OK ||
        kvstore_set(other, "c", 1, "3", 1) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    scene_leave(other);
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
    trial_set(trial, "b", scene_long_value());
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

const struct trial_workload fault_workloads[] = {
    {"open a new store", scene_absent, open_and_set, 0, 0},
    {"set", scene_some_keys, set, SIZE_MAX, 0},
    {"overwrite", scene_some_keys, overwrite, SIZE_MAX, 0},
    {"overwrite long values", scene_some_long_values, overwrite, SIZE_MAX, 0},
    {"set long values", scene_some_long_values, set_long, SIZE_MAX, 0},
    {"write a batch", scene_some_keys, write_batch, SIZE_MAX, 0},
    {"write a batch, unsynced, exclusive",
     scene_some_keys,
     write_batch_unsynced,
     0,
     0},
    {"write a batch and compact",
     scene_some_keys,
     write_batch_and_compact,
     0,
     0},
    {"write a batch after a torn tail",
     scene_torn_tail,
     write_batch,
     SCENE_TORN_KEPT,
     0},
    {"write a batch beside damage", scene_damaged, write_batch, SIZE_MAX, 0},
    {"increment", scene_some_keys, increment, SIZE_MAX, 0},
    {"rm", scene_some_keys, rm, SIZE_MAX, 0},
    {"rm missing", scene_some_keys, rm_missing, SIZE_MAX, 0},
    {"get", scene_some_keys, get, SIZE_MAX, 0},
    {"get long values", scene_some_long_values, get, SIZE_MAX, 0},
    {"compact", scene_some_keys, compact, 0, 0},
    {"compact long values", scene_some_long_values, compact, 0, 0},
    {"compact damage", scene_damaged, compact, 0, 0},
    {"compact a batch", scene_of_a_batch, compact, 0, 0},
    {"list", scene_some_keys, list, SIZE_MAX, 0},
    {"list foreign lines", scene_foreign, list, SIZE_MAX, 0},
    {"iterate", scene_some_keys, iterate, SIZE_MAX, 0},
    {"iterate foreign lines", scene_foreign, iterate, SIZE_MAX, 0},
    {"verify", scene_some_keys, verify, SIZE_MAX, 0},
    {"verify foreign lines", scene_foreign, verify, SIZE_MAX, 0},
    {"verify damage", scene_damaged, verify_damage, SIZE_MAX, 0},
    {"list and verify, read-only",
     scene_some_keys,
     inspect_privately,
     SIZE_MAX,
     0},
    {"repair", scene_damaged, repair, SCENE_REPAIR_KEPT, TRIAL_LEAVES_CUTS},
    {"repair a sound log", scene_some_keys, repair, SIZE_MAX, 0},
    {"compaction due", scene_some_keys, set_that_makes_compaction_due, 0, 0},
    {"torn tail", scene_torn_tail, open_and_set, SCENE_TORN_KEPT, 0},
    {"torn tail, reads", scene_torn_tail, open_get_and_set, SCENE_TORN_KEPT, 0},
    {"torn lines",
     scene_torn_lines,
     open_and_set,
     SCENE_TORN_KEPT,
     TRIAL_LEAVES_CUTS},
    {"unterminated", scene_unterminated, open_and_set, SIZE_MAX, 0},
    {"unterminated, reads", scene_unterminated, open_get_and_set, SIZE_MAX, 0},
    {"damage", scene_damaged, open_get_and_set, SIZE_MAX, 0},
    {"batch", scene_of_a_batch, open_get_and_set, SIZE_MAX, 0},
    {"foreign", scene_foreign, open_get_and_set, SIZE_MAX, 0},
    {"another compacted", scene_some_keys, after_another_has_compacted, 0, 0},
    {"another compacted and set",
     scene_some_keys,
     set_after_another_has_compacted,
     0,
     0},
    {"sync", scene_some_keys, unsynced_sets_and_sync, SIZE_MAX, 0},
    {"exclusive", scene_some_keys, exclusive, 0, 0},
    {"exclusive, long values", scene_some_long_values, exclusive, 0, 0},
    {"exclusive, torn tail", scene_torn_tail, exclusive, 0, 0},
    {"exclusive, unsynced", scene_some_keys, exclusive_unsynced, SIZE_MAX, 0},
    {"grow", scene_full_index, grow, SIZE_MAX, 0},
    {"open to grow", scene_full_index, open_and_set, SIZE_MAX, 0},
    {"read-only", scene_some_keys, reopen_read_only, SIZE_MAX, 0},
    {"read-only, torn tail", scene_torn_tail, reopen_read_only, SIZE_MAX, 0},
};
const size_t fault_workload_count =
    sizeof fault_workloads / sizeof *fault_workloads;

const struct trial_workload fault_workloads_foreign[] = {
    {"foreign", scene_foreign, open_get_and_set, SIZE_MAX, 0},
    {"foreign, set", scene_foreign, overwrite, SIZE_MAX, 0},
    {"foreign, rm", scene_foreign, rm, SIZE_MAX, 0},
    {"foreign, get", scene_foreign, get, SIZE_MAX, 0},
    {"foreign, compact", scene_foreign, compact, 0, 0},
    {"foreign, exclusive", scene_foreign, exclusive, 0, 0},
};
const size_t fault_workload_foreign_count =
    sizeof fault_workloads_foreign / sizeof *fault_workloads_foreign;
