/* SPDX-License-Identifier: MIT */

/* Conditions, expiry, batches, iteration, watching, backup, and stores in all
 * states. */

#include "fault_scenes.h"
#include "fault_workloads.h"
#include "trial_changes.h"
#include "trial_oracle.h"
#include "trial_reads.h"

#include <stdio.h>
#include <unistd.h>

/* --- Conditions and expiry --- */

static void set_if(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set_with(trial, "c", "new", KVSTORE_IF_ABSENT, NULL, 0);
    trial_set_with(trial, "c", "never", KVSTORE_IF_ABSENT, NULL, 0);
    trial_set_with(trial, "a", "two", KVSTORE_IF_PRESENT, NULL, 0);
    trial_get(trial, "c");
}

static void set_if_value(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set_with(trial, "b", "never", KVSTORE_IF_VALUE, "1", 0);
    trial_set_with(trial, "b", "new", KVSTORE_IF_VALUE, "2", 0);
    trial_set_with(trial, "gone", "never", KVSTORE_IF_PRESENT, NULL, 0);
}

static void set_and_keep(struct trial *trial)
{
    const int64_t keep = KVSTORE_EXPIRES_KEEP;
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set_with(trial, "a", "kept", KVSTORE_IF_ANY, NULL, keep);
    trial_set_with(trial, "c", "new", KVSTORE_IF_ABSENT, NULL, keep);
    trial_set_with(trial, "b", "3", KVSTORE_IF_ANY, NULL, SCENE_EXPIRES);
    trial_get_many(trial);
}

static void expire(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_expire(trial, "a", KVSTORE_EXPIRES_NEVER);
    trial_expire(trial, "b", SCENE_EXPIRES_LATER);
    trial_expire(trial, "old", SCENE_EXPIRES);
    trial_get_many(trial);
}

static void increment_expiring(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_increment(trial, "a", "2");
    trial_increment(trial, "old", "1");
    trial_get_many(trial);
}

static void remove_if(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_remove_if(trial, "b", "1");
    trial_remove_if(trial, "b", "2");
    trial_remove_if(trial, "gone", "1");
    trial_exists(trial, "b");
}

static void take(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_take(trial, "a");
    trial_take(trial, "gone");
    trial_exists(trial, "a");
}

static void update(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_update(trial, "a", "updated");
    trial_update(trial, "gone", "back");
    trial_get(trial, "a");
}

static void exists(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_exists(trial, "a");
    trial_exists(trial, "gone");
}

static void get_many(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_get_many(trial);
}

static void compact_twice(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_compact(trial);
    trial_get_many(trial);
    trial_compact(trial);
}

/* --- Batches --- */

static void write_in_conflict(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_write_in_conflict(trial);
    trial_write(trial);
}

static void write_many(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_write_many(trial);
    trial_get(trial, "m100");
}

static void write_exclusively(struct trial *trial)
{
    const kvstore_options options = {.exclusive = true};
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_update(trial, "c", "updated");
    trial_take(trial, "c");
    trial_write(trial);
}

/* --- Iteration --- */

static void iterate_ranges(struct trial *trial)
{
    const kvstore_range prefix = {.prefix = "p/", .prefix_size = 2};
    const kvstore_range reverse = {.reverse = true};
    const kvstore_range keys = {.keys_only = true};
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_iterate(trial, &prefix);
    trial_iterate(trial, &reverse);
    trial_iterate(trial, &keys);
}

static void list_prefix(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_list(trial, "p/");
}

/* --- Watching --- */

static void watch(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_begin_watch(trial, false);
    trial_set(trial, "a", "new");
    trial_watch(trial);
    trial_remove(trial, "a");
    trial_write_many(trial);
    trial_watch(trial);
}

static void watch_across_a_compaction(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_begin_watch(trial, true);
    trial_watch(trial);
    trial_set(trial, "a", "new");
    trial_compact(trial);
    trial_set(trial, "c", "new");
    trial_watch(trial);
}

static void watch_across_two_compactions(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_begin_watch(trial, false);
    trial_arm(trial);
    trial_compact(trial);
    trial_remove(trial, "a");
    trial_compact(trial);
    trial_watch(trial);
}

static void watch_prefix(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_watch_prefix(trial, "p/");
}

/* --- Backup --- */

static void back_up(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_backup(trial);
    trial_set(trial, "a", "new");
}

static void back_up_read_only(struct trial *trial)
{
    const kvstore_options options = {.read_only = true};
    (void)trial_open(trial, &options);
    trial_arm(trial);
    trial_backup(trial);
    trial_close(trial);
}

/* --- Compaction --- */

static const kvstore_options soon_due = {.compaction_threshold = 1,
                                         .compaction_percent = 1};

static void compact_in_background(struct trial *trial)
{
    (void)trial_open(trial, &soon_due);
    trial_arm(trial);
    trial_set(trial, "b", "new");
    trial_get(trial, "a");
    trial_set(trial, "c", "new");
}

static void compact_in_background_and_close(struct trial *trial)
{
    (void)trial_open(trial, &soon_due);
    trial_set(trial, "b", "new");
    trial_arm(trial);
    trial_remove(trial, "b");
    trial_close(trial);
}

static void compact_if_due(struct trial *trial)
{
    kvstore_options options = soon_due;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    (void)trial_open(trial, &options);
    trial_arm(trial);
    trial_compact_if_due(trial);
    trial_set(trial, "a", "new");
    trial_compact_if_due(trial);
    kvstore_set_compaction_threshold(trial->store, UINT64_MAX);
    trial_compact_if_due(trial);
}

static void compact_with_padding(struct trial *trial)
{
    const kvstore_options options = {.sync = KVSTORE_SYNC_NONE,
                                     .exclusive = true};
    (void)trial_open(trial, &options);
    for (int i = 0; i < 64; i++) {
        trial_set(trial, "a", "new");
    }
    trial_arm(trial);
    trial_compact(trial);
    trial_set(trial, "c", "new");
    trial_sync(trial);
}

/* --- Other handles --- */

static void read_only_beside_a_writer(struct trial *trial)
{
    const kvstore_options options = {.read_only = true};
    kvstore *other = scene_enter(trial, NULL);
    if (kvstore_set(other, "c", 1, "3", 1) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    trial_expect(trial, "c", "3");
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_get_many(trial);
    trial_set_refused(trial, "a", KVSTORE_READ_ONLY);
    trial_close(trial);
    scene_leave(other);
}

static void beside_an_exclusive_one(struct trial *trial)
{
    const kvstore_options options = {.exclusive = true};
    const kvstore_options once = {.lock_timeout_ms = -1};
    (void)trial_open(trial, &once);
    kvstore *other = scene_enter(trial, &options);
    if (kvstore_set(other, "c", 1, "3", 1) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    trial_expect(trial, "c", "3");
    trial_arm(trial);
    trial_get(trial, "c");
    trial_set_refused(trial, "a", KVSTORE_BUSY);
    trial_list(trial, NULL);
    scene_leave(other);
}

static void after_another_has_set(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    kvstore *other = scene_enter(trial, NULL);
    if (kvstore_set(other, "a", 1, "other", 5) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    scene_leave(other);
    trial_expect(trial, "a", "other");
    trial_arm(trial);
    trial_get(trial, "a");
    trial_set(trial, "b", "new");
    trial_stats(trial);
}

static void after_another_has_grown_it(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_get(trial, "k0");
    kvstore *other = scene_enter(trial, NULL);
    if (kvstore_set(other, "one", 3, "more", 4) != KVSTORE_OK) {
        trial_complain(trial, "the other handle failed");
    }
    scene_leave(other);
    trial_expect(trial, "one", "more");
    trial_arm(trial);
    trial_get(trial, "one");
    trial_set(trial, "k0", "new");
    trial_get(trial, "k0");
}

static void lose_index(struct trial *trial)
{
    char path[sizeof trial->path + 16];
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    (void)snprintf(path, sizeof path, "%s/store.index", trial->path);
    (void)unlink(path);
    trial_wait();
}

static void get_after_the_index_was_lost(struct trial *trial)
{
    lose_index(trial);
    trial_arm(trial);
    trial_get(trial, "a");
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
}

static void set_after_the_index_was_lost(struct trial *trial)
{
    lose_index(trial);
    trial_arm(trial);
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
}

static void after_the_log_was_exchanged(struct trial *trial)
{
    static const char text[] = "{\"Set\":{\"key\":\"b\",\"val\":\"x\"}}\n";
    char from[sizeof trial->path + 16];
    char to[sizeof trial->path + 16];
    (void)trial_open(trial, NULL);
    trial_get(trial, "a");
    scratch_write(trial->path, "new.log", text, sizeof text - 1);
    (void)snprintf(from, sizeof from, "%s/new.log", trial->path);
    (void)snprintf(to, sizeof to, "%s/store.log", trial->path);
    (void)rename(from, to);
    trial_wait();
    trial_expect(trial, "a", NULL);
    trial_expect(trial, "b", "x");
    trial_arm(trial);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
    trial_get(trial, "a");
}

/* --- Openings --- */

static void open_and_get(struct trial *trial)
{
    const kvstore_options options = {.no_create = true};
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_get(trial, "a");
    trial_get(trial, "b");
}

static void open_privately(struct trial *trial)
{
    const kvstore_options options = {.read_only = true};
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_get_many(trial);
    trial_begin_watch(trial, true);
    trial_watch(trial);
    trial_close(trial);
}

/* Lines that no writer has looked at since may be there, or not. */
static void read_privately(struct trial *trial)
{
    const kvstore_options options = {.read_only = true};
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_get(trial, "a");
    trial_list(trial, "b");
    trial_close(trial);
}

static void open_and_compact(struct trial *trial)
{
    trial_arm(trial);
    (void)trial_open(trial, NULL);
    trial_compact(trial);
    trial_set(trial, "a", "new");
}

static void open_exclusively(struct trial *trial)
{
    const kvstore_options options = {.exclusive = true};
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_get(trial, "b");
    trial_set(trial, "a", "new");
}

static void repair_alone(struct trial *trial)
{
    const kvstore_options options = {.exclusive = true};
    (void)trial_open(trial, &options);
    trial_arm(trial);
    trial_repair(trial);
    trial_set(trial, "a", "new");
}

const struct trial_workload fault_workloads_more[] = {
    {"set if absent, if present", scene_some_keys, set_if, SIZE_MAX, 0},
    {"set if it has a value", scene_some_keys, set_if_value, SIZE_MAX, 0},
    {"set and keep the expiry", scene_expiring, set_and_keep, SIZE_MAX, 0},
    {"expire", scene_expiring, expire, SIZE_MAX, 0},
    {"increment what expires", scene_expiring, increment_expiring, SIZE_MAX, 0},
    {"remove if it has a value", scene_some_keys, remove_if, SIZE_MAX, 0},
    {"take", scene_some_keys, take, SIZE_MAX, 0},
    {"update", scene_some_keys, update, SIZE_MAX, 0},
    {"exists", scene_some_keys, exists, SIZE_MAX, 0},
    {"get many", scene_some_keys, get_many, SIZE_MAX, 0},
    {"get many, expired", scene_expiring, get_many, SIZE_MAX, 0},
    {"get many, long values", scene_some_long_values, get_many, SIZE_MAX, 0},
    {"compact what has expired", scene_expiring, compact_twice, 0, 0},
    {"compact with an access list", scene_access_list, compact_twice, 0, 0},
    {"a batch in conflict", scene_some_keys, write_in_conflict, SIZE_MAX, 0},
    {"a batch that grows the index", scene_some_keys, write_many, SIZE_MAX, 0},
    {"batches, exclusive", scene_some_keys, write_exclusively, 0, 0},
    {"iterate ranges", scene_prefixes, iterate_ranges, SIZE_MAX, 0},
    {"list a prefix", scene_prefixes, list_prefix, SIZE_MAX, 0},
    {"watch", scene_some_keys, watch, SIZE_MAX, 0},
    {"watch across a compaction",
     scene_some_keys,
     watch_across_a_compaction,
     0,
     0},
    {"watch across two compactions",
     scene_some_keys,
     watch_across_two_compactions,
     0,
     0},
    {"watch a prefix", scene_prefixes, watch_prefix, SIZE_MAX, 0},
    {"watch damage", scene_damaged, watch, SIZE_MAX, 0},
    {"back up", scene_some_keys, back_up, SIZE_MAX, 0},
    {"back up damage", scene_damaged, back_up, SIZE_MAX, 0},
    {"back up what expires", scene_expiring, back_up, SIZE_MAX, 0},
    {"back up, read-only", scene_some_keys, back_up_read_only, SIZE_MAX, 0},
    {"compact in the background", scene_some_keys, compact_in_background, 0, 0},
    {"compact in the background, and close",
     scene_some_keys,
     compact_in_background_and_close,
     0,
     0},
    {"compact if due", scene_some_keys, compact_if_due, 0, 0},
    {"compact with padding", scene_some_keys, compact_with_padding, 0, 0},
    {"read-only beside a writer",
     scene_some_keys,
     read_only_beside_a_writer,
     SIZE_MAX,
     0},
    {"beside an exclusive handle",
     scene_some_keys,
     beside_an_exclusive_one,
     SIZE_MAX,
     0},
    {"another has set", scene_some_keys, after_another_has_set, SIZE_MAX, 0},
    {"another has grown the index",
     scene_full_index,
     after_another_has_grown_it,
     SIZE_MAX,
     0},
    {"the index was lost, get",
     scene_some_keys,
     get_after_the_index_was_lost,
     SIZE_MAX,
     TRIAL_OPENS_AGAIN},
    {"the index was lost, set",
     scene_some_keys,
     set_after_the_index_was_lost,
     SIZE_MAX,
     TRIAL_OPENS_AGAIN},
    {"the log was exchanged",
     scene_some_keys,
     after_the_log_was_exchanged,
     SIZE_MAX,
     TRIAL_OPENS_AGAIN},
    {"open an indexed store", scene_indexed, open_and_get, SIZE_MAX, 0},
    {"open exclusively", scene_indexed, open_exclusively, SIZE_MAX, 0},
    {"open an empty store", scene_empty, open_and_get, SIZE_MAX, 0},
    {"open in new directories", scene_deep, open_exclusively, 0, 0},
    {"open what a compaction left",
     scene_leftover,
     open_and_get,
     SIZE_MAX,
     TRIAL_HAS_LEFTOVER},
    {"compact what a compaction left",
     scene_leftover,
     open_and_compact,
     0,
     TRIAL_HAS_LEFTOVER},
    {"foreign index", scene_foreign_index, open_exclusively, SIZE_MAX, 0},
    {"foreign index, read-only",
     scene_foreign_index,
     open_privately,
     SIZE_MAX,
     0},
    {"empty index", scene_empty_index, open_and_get, SIZE_MAX, 0},
    {"index of another log",
     scene_strange_index,
     open_exclusively,
     SIZE_MAX,
     0},
    {"private index, damage", scene_damaged, open_privately, SIZE_MAX, 0},
    {"a newer version's record",
     scene_newer,
     open_privately,
     SIZE_MAX,
     TRIAL_TAKES_NO_WRITE},
    {"a newer version's record, shared",
     scene_newer,
     open_and_get,
     SIZE_MAX,
     TRIAL_TAKES_NO_WRITE},
    {"half a batch", scene_half_a_batch, open_exclusively, SCENE_TORN_KEPT, 0},
    {"after a dead writer", scene_dead_writer, open_exclusively, SIZE_MAX, 0},
    {"after a dead writer, read-only",
     scene_dead_writer,
     read_privately,
     SIZE_MAX,
     0},
    {"after a writer that died half-way",
     scene_dead_half_way,
     open_and_compact,
     0,
     0},
    {"after a dead compactor", scene_dead_compactor, open_and_compact, 0, 0},
    {"repair, exclusive",
     scene_damaged,
     repair_alone,
     SCENE_REPAIR_KEPT,
     TRIAL_LEAVES_CUTS},
};
const size_t fault_workload_more_count =
    sizeof fault_workloads_more / sizeof *fault_workloads_more;
