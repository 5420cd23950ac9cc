/* SPDX-License-Identifier: MIT */

/* Does store/switch.c do what its header promises? Each system call that
 * belongs to a step is noted, with the states that others saw at that moment
 * through mappings of their own. */

#include "compaction_run.h"
#include "index/build.h"
#include "index/grow.h"
#include "index/trust.h"
#include "os/error.h"
#include "store/switch.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define POISON 4711

/* --- Noting steps --- */

static struct {
    struct kv_io_table table;
    char steps[128];
    const struct kv_table *old_table; /* As others have it mapped; or NULL. */
    const struct kv_table *new_table;
    int64_t slept_ns;
    char failing;     /* The step that fails, */
    int system_errno; /* with this error. */
} notes;

static char state_letter(const struct kv_table *table)
{
    switch (table == NULL ? 0 : atomic_load(&table->header->state)) {
    case KV_TABLE_LIVE:
        return 'L';
    case KV_TABLE_SWITCHING:
        return 'S';
    case KV_TABLE_SUPERSEDED:
        return 'X';
    default:
        return '-';
    }
}

/* Notes a step, and the states of the old index and the new one. */
static bool note_and_fail(char step)
{
    size_t length = strlen(notes.steps);
    assert_true(length + 5 < sizeof notes.steps);
    notes.steps[length] = step;
    notes.steps[length + 1] = state_letter(notes.old_table);
    notes.steps[length + 2] = state_letter(notes.new_table);
    notes.steps[length + 3] = ' ';
    errno = notes.system_errno;
    return step == notes.failing;
}

static int noting_renameat(int dir_fd, const char *from, const char *to)
{
    bool is_log = strcmp(to, KV_LOG_NAME) == 0;
    return note_and_fail(is_log ? 'l' : 'i')
               ? -1
               : kv_io_system_table()->renameat(dir_fd, from, to);
}

static int noting_unlinkat(int dir_fd, const char *name)
{
    return note_and_fail('u') ? -1
                              : kv_io_system_table()->unlinkat(dir_fd, name);
}

static int directory_fd;

static int noting_fsync(int fd)
{
    return note_and_fail(fd == directory_fd ? 'd' : 'f')
               ? -1
               : kv_io_system_table()->fsync(fd);
}

static int noting_boot_id(uint64_t *id_out)
{
    return notes.failing == 'b' ? (errno = notes.system_errno, -1)
                                : kv_io_system_table()->boot_id(id_out);
}

static void noting_sleep_ns(int64_t ns)
{
    (void)note_and_fail('p');
    notes.slept_ns += ns;
}

static void begin_notes(const struct kv_table *old_table,
                        const struct kv_table *new_table)
{
    notes.old_table = old_table;
    notes.new_table = new_table;
    notes.table = *kv_io_system_table();
    notes.table.renameat = noting_renameat;
    notes.table.unlinkat = noting_unlinkat;
    notes.table.fsync = noting_fsync;
    notes.table.boot_id = noting_boot_id;
    notes.table.sleep_ns = noting_sleep_ns;
    kv_io_swap_table(&notes.table);
}

static void end_notes(void)
{
    kv_io_swap_table(kv_io_system_table());
}

/* --- A store before and after --- */

struct scene {
    const struct store_dir *dir;
    struct kv_log old_log;
    struct kv_index old_index;   /* Shared. */
    struct kv_index_file mapped; /* The old index, as others have it. */
    struct kv_table others_table;
    struct kv_log log;
    struct kv_index index;
    struct kv_switch change;
};

static void build(struct scene *scene, struct kv_index *index)
{
    struct kv_fold_result result;
    uint64_t size = store_dir_file_size(scene->dir, KV_LOG_NAME);
    assert_int_equal(kv_build_index(&scene->old_log,
                                    size,
                                    NULL,
                                    &scene->dir->directory,
                                    index,
                                    &result),
                     KVSTORE_OK);
}

static struct kv_index_view view_of(const struct kv_log *log)
{
    struct kv_index_view view = {
        .identity = {.log_device = log->device, .log_inode = log->inode},
        .mount_id = kv_io_mount_id(&log->file)};
    assert_int_equal(kv_io_boot_id(&view.boot_id), KVSTORE_OK);
    return view;
}

static enum kv_index_file_trust open_index(const struct scene *scene,
                                           const struct kv_log *log,
                                           struct kv_index_file *file,
                                           struct kv_table *table)
{
    struct kv_index_view view = view_of(log);
    return kv_index_file_open(
        &scene->dir->directory, &log->file, &view, true, file, table);
}

static void write_log(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
}

/* Makes a log, and no index yet. */
static struct scene *make_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->dir = *state;
    scene->old_log = KV_LOG_NONE;
    scene->log = KV_LOG_NONE;
    scene->old_index = KV_INDEX_NONE;
    scene->index = KV_INDEX_NONE;
    scene->mapped = KV_INDEX_FILE_NONE;
    directory_fd = scene->dir->directory.fd;
    memset(&notes, 0, sizeof notes);
    if (!store_dir_has(scene->dir, KV_LOG_NAME)) {
        write_log(scene->dir);
    }
    assert_int_equal(kv_log_open(&scene->dir->directory, true, &scene->old_log),
                     KVSTORE_OK);
    scene->change = (struct kv_switch){.directory = &scene->dir->directory};
    return scene;
}

/* The same with a shared index, which others have mapped. */
static struct scene *make_live_scene(void **state)
{
    struct scene *scene = make_scene(state);
    build(scene, &scene->old_index);
    struct kv_switch first = {.directory = &scene->dir->directory,
                              .log = &scene->old_log,
                              .index = &scene->old_index};
    notes.old_table = NULL;
    begin_notes(NULL, NULL); /* Does not sleep. */
    assert_int_equal(kv_switch_run(&first), KVSTORE_OK);
    end_notes();
    memset(&notes, 0, sizeof notes);
    assert_true(scene->old_index.is_shared);
    assert_int_equal(
        open_index(
            scene, &scene->old_log, &scene->mapped, &scene->others_table),
        KV_INDEX_FILE_TRUSTED);
    scene->change.old_table = &scene->old_index.table;
    return scene;
}

static void prepare_growth(struct scene *scene)
{
    assert_int_equal(kv_index_create_larger(
                         &scene->old_index, 1, &scene->old_log, &scene->index),
                     KVSTORE_OK);
    scene->change.log = &scene->old_log;
    scene->change.index = &scene->index;
}

static void prepare_compaction(struct scene *scene)
{
    assert_int_equal(compaction_run(&scene->dir->directory,
                                    &scene->old_log,
                                    &scene->old_index,
                                    &scene->log,
                                    &scene->index),
                     KVSTORE_OK);
    scene->change.log = &scene->log;
    scene->change.is_log_new = true;
    scene->change.index = &scene->index;
}

static kvstore_status run(struct scene *scene)
{
    bool has_old = scene->change.old_table != NULL;
    begin_notes(has_old ? &scene->others_table : NULL, &scene->index.table);
    kvstore_status status = kv_switch_run(&scene->change);
    end_notes();
    return status;
}

static kvstore_status run_failing(struct scene *scene,
                                  char step,
                                  int system_errno)
{
    notes.failing = step;
    notes.system_errno = system_errno;
    return run(scene);
}

static uint64_t inode_of(const struct scene *scene, const char *name)
{
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat_name(&scene->dir->directory, name, &stat),
                     KVSTORE_OK);
    return stat.inode;
}

static uint64_t poison_of(const struct kv_index *index)
{
    return atomic_load(&index->table.header->poisoned_inode);
}

static void assert_states(const struct scene *scene, const char *states)
{
    bool has_old = scene->mapped.region != NULL;
    assert_int_equal(state_letter(has_old ? &scene->others_table : NULL),
                     states[0]);
    assert_int_equal(state_letter(&scene->index.table), states[1]);
}

static bool is_current(const struct scene *scene, const struct kv_index *index)
{
    bool is_current = false;
    assert_int_equal(kv_index_file_is_current(
                         &scene->dir->directory, &index->memory, &is_current),
                     KVSTORE_OK);
    return is_current;
}

/* Asserts that store.index is the new one, and trusted for a log. */
static void assert_new_index_is_named(const struct scene *scene,
                                      const struct kv_log *log)
{
    struct kv_index_file file;
    struct kv_table table;
    struct kv_table_totals totals;
    assert_true(scene->change.is_index_in_place);
    assert_true(scene->index.is_shared);
    assert_true(is_current(scene, &scene->index));
    assert_int_equal(open_index(scene, log, &file, &table),
                     KV_INDEX_FILE_TRUSTED);
    assert_true(kv_table_load_totals(&table, &totals));
    assert_memory_equal(&totals, &scene->index.totals, sizeof totals);
    kv_index_file_release(&scene->dir->directory, &file);
}

/* Asserts that nothing has happened. */
static void assert_old_pair_serves(const struct scene *scene)
{
    assert_states(scene, "LS");
    assert_int_equal(inode_of(scene, KV_LOG_NAME), scene->old_log.inode);
    assert_true(is_current(scene, &scene->old_index));
    assert_false(scene->change.is_index_in_place);
    assert_false(scene->index.is_shared);
}

static void free_scene(struct scene *scene)
{
    const struct kv_io_file *directory = &scene->dir->directory;
    kv_index_file_release(directory, &scene->mapped);
    kv_index_release(&scene->index);
    kv_index_release(&scene->old_index);
    kv_log_close(&scene->log);
    kv_log_close(&scene->old_log);
    free(scene);
}

/* --- Steps --- */

static void growth_steps_are_in_order(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_growth(scene);

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "iSS ");
    assert_states(scene, "XL");
    assert_true(scene->change.is_log_in_place);
    assert_new_index_is_named(scene, &scene->old_log);
    free_scene(scene);
}

static void compaction_steps_are_in_order(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_compaction(scene);

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "lSS iSS dSS ");
    assert_states(scene, "XL");
    assert_true(scene->change.is_log_in_place);
    assert_int_equal(inode_of(scene, KV_LOG_NAME), scene->log.inode);
    assert_false(store_dir_has(scene->dir, KV_LOG_COMPACT_NAME));
    assert_new_index_is_named(scene, &scene->log);
    free_scene(scene);
}

/* Readers of an index that no process can find are given time to check. */
static void untold_readers_are_waited_for(void **state)
{
    struct scene *scene = make_scene(state);
    build(scene, &scene->index);
    scene->change.log = &scene->old_log;
    scene->change.index = &scene->index;

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "i-S d-S p-S ");
    assert_true(notes.slept_ns >= 50000000);
    assert_states(scene, "-L");
    assert_new_index_is_named(scene, &scene->old_log);
    free_scene(scene);
}

static void new_store_is_not_waited_for(void **state)
{
    store_dir_write(*state, KV_LOG_NAME, "", 0);
    struct scene *scene = make_scene(state);
    build(scene, &scene->index);
    scene->change.log = &scene->old_log;
    scene->change.index = &scene->index;
    scene->change.is_store_new = true;

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "i-S d-S ");
    assert_new_index_is_named(scene, &scene->old_log);
    free_scene(scene);
}

static void poison_stays_with_its_log(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_growth(scene);
    atomic_store(&scene->old_index.table.header->poisoned_inode,
                 scene->old_log.inode);

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_int_equal(poison_of(&scene->index), scene->old_log.inode);
    free_scene(scene);
}

static void new_log_is_not_poisoned(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_compaction(scene);
    atomic_store(&scene->old_index.table.header->poisoned_inode, POISON);

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_int_equal(poison_of(&scene->index), 0);
    free_scene(scene);
}

/* --- Failures --- */

static void failed_rename_of_the_log_changes_nothing(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_compaction(scene);

    assert_int_equal(run_failing(scene, 'l', EACCES), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, EACCES);
    assert_string_equal(notes.steps, "lSS ");
    assert_false(scene->change.is_log_in_place);
    assert_old_pair_serves(scene);
    free_scene(scene);
}

static void replaced_new_log_changes_nothing(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_compaction(scene);
    assert_int_equal(unlink(store_dir_path(scene->dir, KV_LOG_COMPACT_NAME)),
                     0);
    store_dir_write(scene->dir, KV_LOG_COMPACT_NAME, "theirs", 6);

    assert_int_equal(run(scene), KVSTORE_BUSY);

    assert_string_equal(notes.steps, "");
    assert_false(scene->change.is_log_in_place);
    assert_old_pair_serves(scene);
    store_dir_assert_file(scene->dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    free_scene(scene);
}

static void growth_without_a_name_changes_nothing(void **state)
{
    static const char steps[] = {'i', 'b'};
    for (size_t i = 0; i < sizeof steps; i++) {
        struct scene *scene = make_live_scene(state);
        prepare_growth(scene);

        assert_int_equal(run_failing(scene, steps[i], ENOSPC), KVSTORE_OK);

        assert_string_equal(notes.steps, steps[i] == 'i' ? "iSS " : "");
        assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
        assert_old_pair_serves(scene);
        free_scene(scene);
    }
}

/* The new log is in place by then, and no index may belong to the old one. */
static void compaction_without_a_name_leaves_no_index(void **state)
{
    static const char steps[] = {'i', 'b'};
    for (size_t i = 0; i < sizeof steps; i++) {
        struct scene *scene = make_live_scene(state);
        prepare_compaction(scene);

        assert_int_equal(run_failing(scene, steps[i], ENOSPC), KVSTORE_OK);

        assert_string_equal(
            notes.steps, steps[i] == 'i' ? "lSS iSS uSS dXS " : "lSS uSS dXS ");
        assert_states(scene, "XS");
        assert_true(scene->change.is_log_in_place);
        assert_false(scene->change.is_index_in_place);
        assert_false(scene->index.is_shared);
        assert_int_equal(inode_of(scene, KV_LOG_NAME), scene->log.inode);
        assert_false(store_dir_has(scene->dir, KV_INDEX_NAME));
        free_scene(scene);
    }
}

static void compaction_in_private_memory_leaves_no_index(void **state)
{
    struct scene *scene = make_live_scene(state);
    struct kv_index live = scene->old_index;
    live.directory = NULL; /* What is built from it is private. */
    assert_int_equal(compaction_run(&scene->dir->directory,
                                    &scene->old_log,
                                    &live,
                                    &scene->log,
                                    &scene->index),
                     KVSTORE_OK);
    scene->change.log = &scene->log;
    scene->change.is_log_new = true;
    scene->change.index = &scene->index;

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "lSS uSS dXS ");
    assert_false(scene->change.is_index_in_place);
    assert_false(store_dir_has(scene->dir, KV_INDEX_NAME));
    assert_int_equal(atomic_load(&scene->index.table.header->kept),
                     scene->index.totals.applied);
    free_scene(scene);
}

/* A power cut may undo the rename: nothing is written to the new log. */
static void failed_sync_after_compaction_poisons(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_compaction(scene);

    assert_int_equal(run_failing(scene, 'd', EIO), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, EIO);
    assert_states(scene, "XL");
    assert_true(scene->change.is_log_in_place);
    assert_int_equal(poison_of(&scene->index), scene->log.inode);
    assert_new_index_is_named(scene, &scene->log);
    free_scene(scene);
}

static void failed_sync_after_building_poisons(void **state)
{
    struct scene *scene = make_scene(state);
    build(scene, &scene->index);
    scene->change.log = &scene->old_log;
    scene->change.index = &scene->index;

    assert_int_equal(run_failing(scene, 'd', EIO), KVSTORE_IO);

    assert_int_equal(poison_of(&scene->index), scene->old_log.inode);
    assert_new_index_is_named(scene, &scene->old_log);
    free_scene(scene);
}

/* --- What a dead process has left --- */

static kvstore_status complete(struct scene *scene)
{
    begin_notes(&scene->others_table, NULL);
    kvstore_status status = kv_switch_complete(
        &scene->dir->directory, &scene->old_log, &scene->old_index.table);
    end_notes();
    return status;
}

static void unsettled_index_is_synced_and_live(void **state)
{
    struct scene *scene = make_live_scene(state);
    atomic_store(&scene->old_index.table.header->state, KV_TABLE_SWITCHING);

    assert_int_equal(complete(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "fS- dS- pS- ");
    assert_int_equal(state_letter(&scene->others_table), 'L');
    free_scene(scene);
}

static uint64_t poisoned_inode(const struct scene *scene)
{
    return atomic_load(&scene->others_table.header->poisoned_inode);
}

/* Reads go on; writes are refused. */
static void unsettled_index_that_cannot_be_synced_is_poisoned(void **state)
{
    static const char steps[] = {'f', 'd'};
    for (size_t i = 0; i < sizeof steps; i++) {
        struct scene *scene = make_live_scene(state);
        atomic_store(&scene->old_index.table.header->state, KV_TABLE_SWITCHING);
        notes.failing = steps[i];
        notes.system_errno = EIO;

        assert_int_equal(complete(scene), KVSTORE_OK);

        assert_int_equal(state_letter(&scene->others_table), 'L');
        assert_int_equal(poisoned_inode(scene), scene->old_log.inode);
        free_scene(scene);
    }
}

static void unsettled_index_stays_so_where_syncs_are_refused(void **state)
{
    struct scene *scene = make_live_scene(state);
    atomic_store(&scene->old_index.table.header->state, KV_TABLE_SWITCHING);
    notes.failing = 'f';
    notes.system_errno = EPERM;

    assert_int_equal(complete(scene), KVSTORE_IO);

    assert_int_equal(state_letter(&scene->others_table), 'S');
    assert_int_equal(poisoned_inode(scene), 0);
    free_scene(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(growth_steps_are_in_order),
        STORE_TEST(compaction_steps_are_in_order),
        STORE_TEST(untold_readers_are_waited_for),
        STORE_TEST(new_store_is_not_waited_for),
        STORE_TEST(poison_stays_with_its_log),
        STORE_TEST(new_log_is_not_poisoned),
        STORE_TEST(failed_rename_of_the_log_changes_nothing),
        STORE_TEST(replaced_new_log_changes_nothing),
        STORE_TEST(growth_without_a_name_changes_nothing),
        STORE_TEST(compaction_without_a_name_leaves_no_index),
        STORE_TEST(compaction_in_private_memory_leaves_no_index),
        STORE_TEST(failed_sync_after_compaction_poisons),
        STORE_TEST(failed_sync_after_building_poisons),
        STORE_TEST(unsettled_index_is_synced_and_live),
        STORE_TEST(unsettled_index_that_cannot_be_synced_is_poisoned),
        STORE_TEST(unsettled_index_stays_so_where_syncs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
