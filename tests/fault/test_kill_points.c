/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write is there, at once and for every process,
 * whichever step a process dies at. Each operation is run by a child that dies
 * at its first system call or store to shared memory, at the second, and so on
 * until it lives to the end; before the call, after it, and in its course.
 * KVSTORE_KILL_ORDERS says how many of the orders in which others go on are
 * tried for each death (3 if the operation is short, else 1; there are 7). */

#include "kill_trial.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Which handle reads first, and which writes first: see kill_witness.h. */
static const char *const orders[] = {
    "rqpondrqop",
    "drqnrqpo",
    "nrqdrqop",
    "orqnrqdrqp",
    "Orqndrqpo",
    "prqorqdrqn",
    "trqdrqnrqop",
};
#define ORDERS (sizeof orders / sizeof *orders)

/* --- Stores that are disturbed while they are open --- */

/* Longer than what is written over it, if no writer cuts it off. */
static void tear_tail(struct kill_trial *trial)
{
    char tail[4000] = "{\"Set\":{\"key\":\"a\",\"val\":\"";
    size_t size = strlen(tail);
    memset(tail + size, 'n', sizeof tail - 1 - size);
    tail[sizeof tail - 1] = '\0';
    kill_trial_append(trial, tail);
}

static void tear_lines(struct kill_trial *trial)
{
    kill_trial_append(trial,
                      "\"key\":\"a\",\"val\":\"never\"\n"
                      "\"key\":\"b\",\"val\":\"never\"\n"
                      "{\"Set\":{\"key\"");
}

static void leave_damage(struct kill_trial *trial)
{
    kill_trial_append(trial, "what is this\n{\"Remove\":{\"key\":\"gone\"}}\n");
}

/* Leaves what a writer leaves that died after its write. */
static void leave_line(struct kill_trial *trial)
{
    kill_trial_append(trial, "{\"Set\":{\"key\":\"b\",\"val\":\"left\"}}\n");
    kill_trial_may_become(trial, "b", "left");
}

static void leave_line_without_newline(struct kill_trial *trial)
{
    kill_trial_append(trial, "{\"Set\":{\"key\":\"b\",\"val\":\"left\"}}");
    kill_trial_may_become(trial, "b", "left");
}

/* Sets what was removed, without the child. */
static void bring_back(struct kill_trial *trial)
{
    kill_trial_append(trial, "{\"Set\":{\"key\":\"gone\",\"val\":\"1\"}}\n");
}

/* --- What a child does --- */

static void open_only(struct kill_child *child)
{
    kill_child_open(child, NULL);
}

static void open_exclusively(struct kill_child *child)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.exclusive = true;
    kill_child_open(child, &options);
}

/* The next change makes a compaction due. */
static void open_to_compact(struct kill_child *child)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 1;
    options.compaction_percent = 1;
    kill_child_open(child, &options);
}

static void set_new(struct kill_child *child)
{
    kill_child_open(child, NULL);
    kill_child_set(child, "new", "1");
}

static void overwrite(struct kill_child *child)
{
    kill_child_open(child, NULL);
    kill_child_set(child, "c", "changed");
}

static void rm(struct kill_child *child)
{
    kill_child_open(child, NULL);
    kill_child_must(kvstore_remove(child->store, "c", 1));
    child->board->is_acknowledged = true;
}

static void write_batch(struct kill_child *child)
{
    kvstore_batch *batch = NULL;
    kill_child_must(kvstore_batch_create(&batch));
    kill_child_must(kvstore_batch_set(batch, "c", 1, "changed", 7, 0));
    kill_child_must(kvstore_batch_set(batch, "new", 3, "1", 1, 0));
    kill_child_must(kvstore_write(child->store, batch));
    child->board->is_acknowledged = true;
    kvstore_batch_free(batch);
}

static void open_and_write_batch(struct kill_child *child)
{
    kill_child_open(child, NULL);
    write_batch(child);
}

static void write_batch_exclusively(struct kill_child *child)
{
    open_exclusively(child);
    write_batch(child);
}

static void write_batch_and_compact(struct kill_child *child)
{
    open_to_compact(child);
    write_batch(child);
}

static void set_exclusively(struct kill_child *child)
{
    open_exclusively(child);
    kill_child_set(child, "c", "changed");
}

/* Sets so often that lines are copied to the mapped end of the log. */
static void set_exclusively_and_copy(struct kill_child *child)
{
    open_exclusively(child);
    for (int i = 0; i < 67; i++) {
        kill_child_set(child, "c", "changed");
    }
}

static void overwrite_and_compact(struct kill_child *child)
{
    open_to_compact(child);
    kill_child_set(child, "c", "changed");
}

static void rm_and_compact(struct kill_child *child)
{
    open_to_compact(child);
    kill_child_must(kvstore_remove(child->store, "c", 1));
    child->board->is_acknowledged = true;
}

static void compact(struct kill_child *child)
{
    kill_child_open(child, NULL);
    kill_child_must(kvstore_compact(child->store));
}

static void repair(struct kill_child *child)
{
    kill_child_open(child, NULL);
    kill_child_must(kvstore_repair(child->store, NULL, NULL));
}

/* The write is refused; the store is poisoned. */
static void set_in_vain(struct kill_child *child)
{
    kill_child_open(child, NULL);
    if (kvstore_set(child->store, "c", 1, "changed", 7) != KVSTORE_IO) {
        _exit(EXIT_FAILURE);
    }
}

/* --- Running them --- */

/* All moments of a call. */
static const struct kill_plan moments[] = {
    {.moment = KILL_BEFORE},
    {.moment = KILL_AFTER},
    {.call = "pwrite", .moment = KILL_HALF_WRITTEN},
    {.call = "pwrite", .moment = KILL_NEWLINE_MISSING},
};

/* Dies as planned once for each of some orders, of which first is one. */
static bool die_in_orders(struct kill_trial *trial,
                          const struct kill_operation *operation,
                          const struct kill_plan *plan,
                          size_t first,
                          size_t count)
{
    bool has_died = false;
    for (size_t i = 0; i < count; i++) {
        has_died = kill_trial_run(
            trial, operation, plan, orders[(first + 4 * i) % ORDERS]);
    }
    return has_died;
}

/* Returns how many deaths there were. Short operations are tried with more
 * of the orders. */
static unsigned die_everywhere(struct kill_trial *trial,
                               const struct kill_operation *operation,
                               bool is_short)
{
    unsigned deaths = 0;
    size_t count = scratch_number("KVSTORE_KILL_ORDERS", is_short ? 3 : 1);
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct kill_plan plan = moments[i];
        plan.signal = SIGKILL;
        bool has_died = true;
        for (plan.n = 1; has_died; plan.n++) {
            size_t first = (size_t)plan.n + 3 * i;
            has_died = die_in_orders(trial, operation, &plan, first, count);
            deaths += has_died ? 1 : 0;
        }
    }
    (void)printf("%-42s %4u deaths\n", operation->name, deaths);
    return deaths;
}

static void check_operations(void **state,
                             const struct kill_operation *operations,
                             size_t count,
                             bool is_short)
{
    struct kill_trial *trial = *state;
    for (size_t i = 0; i < count; i++) {
        assert_true(die_everywhere(trial, &operations[i], is_short) > 20);
    }
    assert_int_equal(trial->complaints, 0);
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- Writing --- */

static const struct kill_operation writes[] = {
    {.name = "set a new key",
     .run = set_new,
     .key = "new",
     .value = "1",
     .is_prompt = true},
    {.name = "set a new key, unsynced",
     .run = set_new,
     .sync = KVSTORE_SYNC_NONE,
     .key = "new",
     .value = "1",
     .is_prompt = true},
    {.name = "overwrite",
     .run = overwrite,
     .key = "c",
     .value = "changed",
     .is_prompt = true},
    {.name = "overwrite, unsynced",
     .run = overwrite,
     .sync = KVSTORE_SYNC_NONE,
     .key = "c",
     .value = "changed",
     .is_prompt = true},
    {.name = "remove", .run = rm, .key = "c", .value = "", .is_prompt = true},
    {.name = "remove, unsynced",
     .run = rm,
     .sync = KVSTORE_SYNC_NONE,
     .key = "c",
     .value = "",
     .is_prompt = true},
    {.name = "overwrite, exclusively",
     .run = set_exclusively,
     .key = "c",
     .value = "changed",
     .is_prompt = true},
};

static void death_in_a_write_loses_nothing(void **state)
{
    check_operations(state, writes, COUNT(writes), true);
}

#define BATCH \
    .key = "c", .value = "changed", .other_key = "new", .other_value = "1"

static const struct kill_operation batches[] = {
    {.name = "batch", .run = open_and_write_batch, BATCH},
    {.name = "batch, unsynced",
     .run = open_and_write_batch,
     .sync = KVSTORE_SYNC_NONE,
     BATCH},
    {.name = "batch, exclusively", .run = write_batch_exclusively, BATCH},
    {.name = "batch, exclusively, unsynced",
     .run = write_batch_exclusively,
     .sync = KVSTORE_SYNC_NONE,
     BATCH},
};

static void death_in_a_batch_leaves_no_half(void **state)
{
    check_operations(state, batches, COUNT(batches), true);
}

static const struct kill_operation larger_batches[] = {
    {.name = "batch, grow",
     .disturb = kill_trial_fill_index,
     .run = open_and_write_batch,
     BATCH,
     .renames = 1},
    {.name = "batch, compaction due, unsynced",
     .run = write_batch_and_compact,
     .sync = KVSTORE_SYNC_NONE,
     BATCH,
     .renames = 2},
    {.name = "batch after a torn tail",
     .disturb = tear_tail,
     .run = open_and_write_batch,
     BATCH},
    {.name = "batch after a rebuild",
     .disturb = kill_trial_delete_index,
     .run = open_and_write_batch,
     BATCH},
};

static void death_beside_a_batch_leaves_no_half(void **state)
{
    check_operations(state, larger_batches, COUNT(larger_batches), false);
}

static const struct kill_operation copies[] = {
    {.name = "overwrite, exclusively, unsynced",
     .run = set_exclusively_and_copy,
     .sync = KVSTORE_SYNC_NONE,
     .key = "c",
     .value = "changed",
     .is_prompt = true},
};

static void death_in_a_copy_loses_nothing(void **state)
{
    check_operations(state, copies, COUNT(copies), false);
}

/* --- Growth --- */

static const struct kill_operation growth[] = {
    {.name = "grow",
     .disturb = kill_trial_fill_index,
     .run = set_new,
     .key = "new",
     .value = "1",
     .renames = 1},
    {.name = "grow, unsynced",
     .disturb = kill_trial_fill_index,
     .run = set_new,
     .sync = KVSTORE_SYNC_NONE,
     .key = "new",
     .value = "1",
     .renames = 1},
};

static void death_in_growth_loses_nothing(void **state)
{
    check_operations(state, growth, COUNT(growth), false);
}

/* --- Compaction --- */

static const struct kill_operation compactions[] = {
    {.name = "compact", .run = compact, .renames = 2},
    {.name = "overwrite, compaction due",
     .run = overwrite_and_compact,
     .key = "c",
     .value = "changed",
     .renames = 2},
    {.name = "overwrite, compaction due, unsynced",
     .run = overwrite_and_compact,
     .sync = KVSTORE_SYNC_NONE,
     .key = "c",
     .value = "changed",
     .renames = 2},
    {.name = "remove, compaction due",
     .run = rm_and_compact,
     .key = "c",
     .value = "",
     .renames = 2},
};

static void death_in_a_compaction_loses_nothing(void **state)
{
    check_operations(state, compactions, COUNT(compactions), false);
}

/* --- Repair --- */

static const struct kill_operation repairs[] = {
    {.name = "repair",
     .disturb = leave_damage,
     .run = repair,
     .renames = 2,
     .leaves_cuts = true,
     .may_be_damaged = true},
    {.name = "repair of a sound log", .run = repair},
};

static void death_in_a_repair_loses_nothing(void **state)
{
    check_operations(state, repairs, COUNT(repairs), false);
}

/* --- Building --- */

static const struct kill_operation rebuilds[] = {
    {.name = "rebuild",
     .disturb = kill_trial_delete_index,
     .run = open_only,
     .renames = 1},
    {.name = "rebuild, and overwrite",
     .disturb = kill_trial_delete_index,
     .run = overwrite,
     .key = "c",
     .value = "changed",
     .renames = 1},
    {.name = "rebuild, and overwrite, unsynced",
     .disturb = kill_trial_delete_index,
     .run = overwrite,
     .sync = KVSTORE_SYNC_NONE,
     .key = "c",
     .value = "changed",
     .renames = 1},
    {.name = "rebuild, and compact",
     .disturb = kill_trial_delete_index,
     .run = compact,
     .renames = 3},
};

static void death_in_a_rebuild_loses_nothing(void **state)
{
    check_operations(state, rebuilds, COUNT(rebuilds), false);
}

/* --- Mending --- */

static const struct kill_operation mending[] = {
    {.name = "torn tail",
     .disturb = tear_tail,
     .run = overwrite,
     .key = "c",
     .value = "changed"},
    {.name = "torn lines",
     .disturb = tear_lines,
     .run = overwrite,
     .key = "c",
     .value = "changed",
     .leaves_cuts = true},
    {.name = "line after, open", .disturb = leave_line, .run = open_only},
    {.name = "line after, overwrite",
     .disturb = leave_line,
     .run = overwrite,
     .key = "c",
     .value = "changed"},
    {.name = "line after, compact",
     .disturb = leave_line,
     .run = compact,
     .renames = 2},
    {.name = "no newline, open",
     .disturb = leave_line_without_newline,
     .run = open_only},
    {.name = "no newline, overwrite",
     .disturb = leave_line_without_newline,
     .run = overwrite,
     .sync = KVSTORE_SYNC_NONE,
     .key = "c",
     .value = "changed"},
};

static void death_in_mending_loses_nothing(void **state)
{
    check_operations(state, mending, COUNT(mending), false);
}

/* --- Creating --- */

static const struct kill_operation creations[] = {
    {.name = "create",
     .run = set_new,
     .key = "new",
     .value = "1",
     .is_absent = true},
    {.name = "create, unsynced",
     .run = set_new,
     .sync = KVSTORE_SYNC_NONE,
     .key = "new",
     .value = "1",
     .is_absent = true},
};

static void death_in_creation_leaves_a_store_or_none(void **state)
{
    check_operations(state, creations, COUNT(creations), false);
}

/* --- A failed sync --- */

static const struct kill_operation failed_syncs[] = {
    {.name = "failed sync",
     .run = set_in_vain,
     .key = "c",
     .value = "changed",
     .may_refuse = true,
     .is_sync_failing = true},
};

static void death_behind_a_failed_sync_loses_nothing(void **state)
{
    check_operations(state, failed_syncs, COUNT(failed_syncs), true);
}

/* --- Mending and building after another death --- */

#define SECOND .run = set_new, .key = "new", .value = "1"

static const struct kill_operation recoveries[] = {
    {.name = "compaction died at SWITCHING",
     .first_run = compact,
     .first_plan = {"state", 1, KILL_AFTER, 0, false, false},
     SECOND},
    {.name = "compaction died after the log's rename",
     .first_run = compact,
     .first_plan = {"renameat", 1, KILL_AFTER, 0, false, false},
     SECOND,
     .renames = 1},
    {.name = "the same, and compact",
     .first_run = compact,
     .first_plan = {"renameat", 1, KILL_AFTER, 0, false, false},
     .run = compact,
     .renames = 3},
    {.name = "compaction died after the index's rename",
     .first_run = compact,
     .first_plan = {"renameat", 2, KILL_AFTER, 0, false, false},
     SECOND},
    {.name = "compaction died after LIVE",
     .first_run = compact,
     .first_plan = {"state", 2, KILL_AFTER, 0, false, false},
     SECOND},
    {.name = "growth died at SWITCHING",
     .disturb = kill_trial_fill_index,
     .first_run = set_new,
     .first_plan = {"state", 1, KILL_AFTER, 0, false, false},
     SECOND,
     .renames = 1},
    {.name = "growth died after the rename",
     .disturb = kill_trial_fill_index,
     .first_run = set_new,
     .first_plan = {"renameat", 1, KILL_AFTER, 0, false, false},
     SECOND},
    {.name = "growth died after LIVE",
     .disturb = kill_trial_fill_index,
     .first_run = set_new,
     .first_plan = {"state", 2, KILL_AFTER, 0, false, false},
     SECOND},
    {.name = "rebuild died after the rename",
     .disturb = kill_trial_delete_index,
     .first_run = open_only,
     .first_plan = {"renameat", 1, KILL_AFTER, 0, false, false},
     SECOND},
    {.name = "set died after the slot",
     .first_run = overwrite,
     .first_plan = {"slot", 1, KILL_AFTER, 0, false, false},
     .first_key = "c",
     .first_value = "changed",
     SECOND,
     .renames = 1},
    {.name = "the same, and compact",
     .first_run = overwrite,
     .first_plan = {"slot", 1, KILL_AFTER, 0, false, false},
     .first_key = "c",
     .first_value = "changed",
     .run = compact,
     .renames = 3},
    {.name = "set died in the middle of its line",
     .first_run = overwrite,
     .first_plan = {"pwrite", 1, KILL_HALF_WRITTEN, 0, false, false},
     .first_key = "c",
     .first_value = "changed",
     SECOND},
};

static void death_in_a_recovery_loses_nothing(void **state)
{
    check_operations(state, recoveries, COUNT(recoveries), false);
}

/* --- Stopped, not dead --- */

static const struct kill_operation stops[] = {
    {.name = "set",
     .run = set_new,
     .key = "new",
     .value = "1",
     .is_prompt = true},
    {.name = "grow",
     .disturb = kill_trial_fill_index,
     .run = set_new,
     .key = "new",
     .value = "1",
     .renames = 1},
    {.name = "overwrite, compaction due",
     .run = overwrite_and_compact,
     .key = "c",
     .value = "changed",
     .renames = 2},
    {.name = "line after, overwrite",
     .disturb = leave_line,
     .run = overwrite,
     .key = "c",
     .value = "changed"},
    {.name = "rebuild, and overwrite",
     .disturb = kill_trial_delete_index,
     .run = overwrite,
     .key = "c",
     .value = "changed",
     .renames = 1,
     .is_unsigned = true},
};

static void holder_stopped_anywhere_is_not_robbed(void **state)
{
    struct kill_trial *trial = *state;
    trial->lock_timeout_ms = 100;
    for (size_t i = 0; i < COUNT(stops); i++) {
        struct kill_plan plan = {.moment = KILL_BEFORE, .signal = SIGSTOP};
        bool was_stopped = true;
        for (plan.n = 1; was_stopped; plan.n++) {
            was_stopped = kill_trial_run(
                trial, &stops[i], &plan, orders[plan.n % ORDERS]);
        }
        (void)printf("%-40s %4llu stops\n",
                     stops[i].name,
                     (unsigned long long)plan.n - 2);
    }
    assert_int_equal(trial->complaints, 0);
}

/* Opens, forks, and dies with the lock; the child does nothing. */
static void hold_and_fork(struct kill_trial *trial)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.exclusive = true;
    if (kvstore_open(trial->path, &options, &store) != KVSTORE_OK ||
        kvstore_set(store, "mine", 4, "1", 1) != KVSTORE_OK) {
        _exit(EXIT_FAILURE);
    }
    pid_t idle = fork();
    if (idle == 0) {
        trial->board->child_pid = (int)getpid();
        for (;;) {
            (void)pause();
        }
    }
    while (trial->board->child_pid == 0) {
    }
    (void)raise(SIGKILL);
}

static void lock_of_a_dead_parent_is_free_though_its_child_lives(void **state)
{
    struct kill_trial *trial = *state;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    int status = 0;
    options.lock_timeout_ms = -1;
    kv_io_swap_table(kv_io_system_table());

    pid_t pid = fork();
    if (pid == 0) {
        hold_and_fork(trial);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    int idle_pid = trial->board->child_pid;
    int idle_lives = kill(idle_pid, 0);
    kvstore_status opened = kvstore_open(trial->path, &options, &store);
    kvstore_status set = kvstore_set(store, "k", 1, "v", 1);
    kvstore_close(store);
    (void)kill(idle_pid, SIGKILL);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(idle_lives, 0);
    assert_int_equal(opened, KVSTORE_OK);
    assert_int_equal(set, KVSTORE_OK);
}

/* --- The harness must be able to fail --- */

/* Acknowledges what it has not done. */
static void lie(struct kill_child *child)
{
    kill_child_open(child, NULL);
    child->board->is_acknowledged = true;
}

static void acknowledged_and_not_written_is_found_out(void **state)
{
    static const struct kill_operation lying = {
        .name = "lie", .run = lie, .key = "c", .value = "changed"};
    struct kill_trial *trial = *state;
    struct kill_plan plan = {.moment = KILL_BEFORE, .signal = SIGKILL};
    trial->is_quiet = true;

    (void)kill_trial_run(trial, &lying, &plan, orders[0]);

    assert_true(trial->complaints > 0);
}

/* The disk forgets what was written. */
static void lost_write_is_found_out(void **state)
{
    static const struct kill_operation losing = {.name = "lose",
                                                 .run = overwrite,
                                                 .key = "c",
                                                 .value = "changed",
                                                 .is_write_lost = true};
    struct kill_trial *trial = *state;
    struct kill_plan plan = {.moment = KILL_BEFORE, .signal = SIGKILL};
    trial->is_quiet = true;

    (void)kill_trial_run(trial, &losing, &plan, orders[0]);

    assert_true(trial->complaints > 0);
}

/* The child does not wait until the others have checked. */
static void missing_pause_is_found_out(void **state)
{
    struct kill_trial *trial = *state;
    trial->is_quiet = true;
    trial->board->skips_long_sleeps = true;

    for (size_t i = 0; i < ORDERS; i++) {
        struct kill_plan plan = {.call = "renameat", .n = 1, .signal = SIGKILL};
        plan.moment = KILL_AFTER;
        assert_true(kill_trial_run(trial, &rebuilds[0], &plan, orders[i]));
    }

    assert_true(trial->complaints > 0);
}

/* What was removed is there again. */
static void return_of_the_removed_is_found_out(void **state)
{
    static const struct kill_operation returning = {
        .name = "return", .disturb = bring_back, .run = open_only};
    struct kill_trial *trial = *state;
    struct kill_plan plan = {.moment = KILL_BEFORE, .signal = SIGKILL};
    trial->is_quiet = true;

    (void)kill_trial_run(trial, &returning, &plan, orders[0]);

    assert_true(trial->complaints > 0);
}

/* --- Set-up --- */

static int set_up(void **state)
{
    static struct kill_trial trial;
    kill_trial_set_up(&trial);
    *state = &trial;
    return 0;
}

static int tear_down(void **state)
{
    kill_trial_tear_down(*state);
    return 0;
}

#define KILL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KILL_TEST(death_in_a_write_loses_nothing),
        KILL_TEST(death_in_a_batch_leaves_no_half),
        KILL_TEST(death_beside_a_batch_leaves_no_half),
        KILL_TEST(death_in_a_copy_loses_nothing),
        KILL_TEST(death_in_growth_loses_nothing),
        KILL_TEST(death_in_a_compaction_loses_nothing),
        KILL_TEST(death_in_a_repair_loses_nothing),
        KILL_TEST(death_in_a_rebuild_loses_nothing),
        KILL_TEST(death_in_mending_loses_nothing),
        KILL_TEST(death_in_creation_leaves_a_store_or_none),
        KILL_TEST(death_behind_a_failed_sync_loses_nothing),
        KILL_TEST(death_in_a_recovery_loses_nothing),
        KILL_TEST(holder_stopped_anywhere_is_not_robbed),
        KILL_TEST(lock_of_a_dead_parent_is_free_though_its_child_lives),
        KILL_TEST(acknowledged_and_not_written_is_found_out),
        KILL_TEST(lost_write_is_found_out),
        KILL_TEST(missing_pause_is_found_out),
        KILL_TEST(return_of_the_removed_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
