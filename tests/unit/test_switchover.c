/* SPDX-License-Identifier: MIT */

/* Does switchover.c keep its header's word? Each call of the system that
 * belongs to a step is noted, with the states that others saw at that moment
 * through mappings of their own. */

#include "compaction_run.h"
#include "index/recovery.h"
#include "os/error.h"
#include "store/switchover.h"
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
    const struct kv_index *old_index; /* As others have it mapped; or NULL. */
    const struct kv_index *new_index;
    int64_t slept_ns;
    char failing;     /* The step that fails, */
    int system_errno; /* in this way. */
} notes;

static char state_letter(const struct kv_index *index)
{
    switch (index == NULL ? 0 : atomic_load(&index->header->state)) {
    case KV_INDEX_LIVE:
        return 'L';
    case KV_INDEX_SWITCHING:
        return 'S';
    case KV_INDEX_SUPERSEDED:
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
    notes.steps[length + 1] = state_letter(notes.old_index);
    notes.steps[length + 2] = state_letter(notes.new_index);
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

static int noting_mount_id(int fd, uint64_t *id_out)
{
    return notes.failing == 'm' ? (errno = notes.system_errno, -1)
                                : kv_io_system_table()->mount_id(fd, id_out);
}

static void noting_sleep_ns(int64_t ns)
{
    (void)note_and_fail('p');
    notes.slept_ns += ns;
}

static void begin_notes(const struct kv_index *old_index,
                        const struct kv_index *new_index)
{
    notes.old_index = old_index;
    notes.new_index = new_index;
    notes.table = *kv_io_system_table();
    notes.table.renameat = noting_renameat;
    notes.table.unlinkat = noting_unlinkat;
    notes.table.fsync = noting_fsync;
    notes.table.mount_id = noting_mount_id;
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
    struct kv_keydir old_keydir; /* Live. */
    struct kv_index_file mapped; /* The old index, as others have it. */
    struct kv_index others_index;
    struct kv_log log;
    struct kv_keydir keydir;
    struct kv_switchover switchover;
};

static void build(struct scene *scene, struct kv_keydir *keydir)
{
    struct kv_fold_result result;
    uint64_t size = store_dir_file_size(scene->dir, KV_LOG_NAME);
    assert_int_equal(kv_recovery_build(&scene->old_log,
                                       size,
                                       NULL,
                                       &scene->dir->directory,
                                       keydir,
                                       &result),
                     KVSTORE_OK);
}

static struct kv_index_identity identity_of(const struct kv_log *log)
{
    struct kv_index_identity identity = {.log_device = log->device,
                                         .log_inode = log->inode};
    assert_int_equal(kv_io_boot_id(identity.boot_id), KVSTORE_OK);
    return identity;
}

static enum kv_index_trust open_index(const struct scene *scene,
                                      const struct kv_log *log,
                                      struct kv_index_file *file,
                                      struct kv_index *index)
{
    struct kv_index_identity identity = identity_of(log);
    return kv_index_file_open(
        &scene->dir->directory, &log->file, &identity, true, file, index);
}

static void write_log(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
}

/* A log, and no index yet. */
static struct scene *make_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->dir = *state;
    scene->old_log = KV_LOG_NONE;
    scene->log = KV_LOG_NONE;
    scene->old_keydir = KV_KEYDIR_NONE;
    scene->keydir = KV_KEYDIR_NONE;
    scene->mapped = KV_INDEX_FILE_NONE;
    directory_fd = scene->dir->directory.fd;
    memset(&notes, 0, sizeof notes);
    if (!store_dir_has(scene->dir, KV_LOG_NAME)) {
        write_log(scene->dir);
    }
    assert_int_equal(kv_log_open(&scene->dir->directory, true, &scene->old_log),
                     KVSTORE_OK);
    scene->switchover =
        (struct kv_switchover){.directory = &scene->dir->directory};
    return scene;
}

/* The same with a live index, which others have mapped, too. */
static struct scene *make_live_scene(void **state)
{
    struct scene *scene = make_scene(state);
    build(scene, &scene->old_keydir);
    struct kv_switchover first = {.directory = &scene->dir->directory,
                                  .log = &scene->old_log,
                                  .keydir = &scene->old_keydir};
    notes.old_index = NULL;
    begin_notes(NULL, NULL); /* Does not sleep. */
    assert_int_equal(kv_switchover_run(&first), KVSTORE_OK);
    end_notes();
    memset(&notes, 0, sizeof notes);
    assert_true(scene->old_keydir.is_live);
    assert_int_equal(
        open_index(
            scene, &scene->old_log, &scene->mapped, &scene->others_index),
        KV_INDEX_TRUSTED);
    scene->switchover.old_index = &scene->old_keydir.index;
    return scene;
}

static void prepare_growth(struct scene *scene)
{
    assert_int_equal(kv_keydir_create_larger(
                         &scene->old_keydir, &scene->old_log, &scene->keydir),
                     KVSTORE_OK);
    scene->switchover.log = &scene->old_log;
    scene->switchover.keydir = &scene->keydir;
}

static void prepare_compaction(struct scene *scene)
{
    assert_int_equal(compaction_run(&scene->dir->directory,
                                    &scene->old_log,
                                    &scene->old_keydir,
                                    &scene->log,
                                    &scene->keydir),
                     KVSTORE_OK);
    scene->switchover.log = &scene->log;
    scene->switchover.is_log_new = true;
    scene->switchover.keydir = &scene->keydir;
}

static kvstore_status run(struct scene *scene)
{
    bool has_old = scene->switchover.old_index != NULL;
    begin_notes(has_old ? &scene->others_index : NULL, &scene->keydir.index);
    kvstore_status status = kv_switchover_run(&scene->switchover);
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

static uint64_t poison_of(const struct kv_keydir *keydir)
{
    return atomic_load(&keydir->index.header->poisoned_inode);
}

static void assert_states(const struct scene *scene, const char *states)
{
    bool has_old = scene->mapped.region != NULL;
    assert_int_equal(state_letter(has_old ? &scene->others_index : NULL),
                     states[0]);
    assert_int_equal(state_letter(&scene->keydir.index), states[1]);
}

static bool is_current(const struct scene *scene,
                       const struct kv_keydir *keydir)
{
    bool is_current = false;
    assert_int_equal(kv_index_file_is_current(
                         &scene->dir->directory, &keydir->memory, &is_current),
                     KVSTORE_OK);
    return is_current;
}

/* store.index is the new one, and trusted for a log. */
static void assert_new_index_is_named(const struct scene *scene,
                                      const struct kv_log *log)
{
    struct kv_index_file file;
    struct kv_index index;
    struct kv_index_totals totals;
    assert_true(scene->switchover.is_keydir_in_place);
    assert_true(scene->keydir.is_live);
    assert_true(is_current(scene, &scene->keydir));
    assert_int_equal(open_index(scene, log, &file, &index), KV_INDEX_TRUSTED);
    assert_true(kv_index_load_totals(&index, &totals));
    assert_memory_equal(&totals, &scene->keydir.totals, sizeof totals);
    kv_index_file_release(&scene->dir->directory, &file);
}

/* Nothing has happened. */
static void assert_old_pair_serves(const struct scene *scene)
{
    assert_states(scene, "LS");
    assert_int_equal(inode_of(scene, KV_LOG_NAME), scene->old_log.inode);
    assert_true(is_current(scene, &scene->old_keydir));
    assert_false(scene->switchover.is_keydir_in_place);
    assert_false(scene->keydir.is_live);
}

static void free_scene(struct scene *scene)
{
    const struct kv_io_file *directory = &scene->dir->directory;
    kv_index_file_release(directory, &scene->mapped);
    kv_keydir_release(&scene->keydir);
    kv_keydir_release(&scene->old_keydir);
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
    assert_true(scene->switchover.is_log_in_place);
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
    assert_true(scene->switchover.is_log_in_place);
    assert_int_equal(inode_of(scene, KV_LOG_NAME), scene->log.inode);
    assert_false(store_dir_has(scene->dir, KV_LOG_COMPACT_NAME));
    assert_new_index_is_named(scene, &scene->log);
    free_scene(scene);
}

/* Those who have an index that nobody can find are given time to look. */
static void untold_readers_are_waited_for(void **state)
{
    struct scene *scene = make_scene(state);
    build(scene, &scene->keydir);
    scene->switchover.log = &scene->old_log;
    scene->switchover.keydir = &scene->keydir;

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
    build(scene, &scene->keydir);
    scene->switchover.log = &scene->old_log;
    scene->switchover.keydir = &scene->keydir;
    scene->switchover.is_store_new = true;

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "i-S d-S ");
    assert_new_index_is_named(scene, &scene->old_log);
    free_scene(scene);
}

static void poison_stays_with_its_log(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_growth(scene);
    atomic_store(&scene->old_keydir.index.header->poisoned_inode,
                 scene->old_log.inode);

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_int_equal(poison_of(&scene->keydir), scene->old_log.inode);
    free_scene(scene);
}

static void new_log_is_not_poisoned(void **state)
{
    struct scene *scene = make_live_scene(state);
    prepare_compaction(scene);
    atomic_store(&scene->old_keydir.index.header->poisoned_inode, POISON);

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_int_equal(poison_of(&scene->keydir), 0);
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
    assert_false(scene->switchover.is_log_in_place);
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
    assert_false(scene->switchover.is_log_in_place);
    assert_old_pair_serves(scene);
    store_dir_assert_file(scene->dir, KV_LOG_COMPACT_NAME, "theirs", 6);
    free_scene(scene);
}

static void growth_without_a_name_changes_nothing(void **state)
{
    static const char steps[] = {'i', 'm'};
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
    static const char steps[] = {'i', 'm'};
    for (size_t i = 0; i < sizeof steps; i++) {
        struct scene *scene = make_live_scene(state);
        prepare_compaction(scene);

        assert_int_equal(run_failing(scene, steps[i], ENOSPC), KVSTORE_OK);

        assert_string_equal(
            notes.steps, steps[i] == 'i' ? "lSS iSS uSS dXS " : "lSS uSS dXS ");
        assert_states(scene, "XS");
        assert_true(scene->switchover.is_log_in_place);
        assert_false(scene->switchover.is_keydir_in_place);
        assert_false(scene->keydir.is_live);
        assert_int_equal(inode_of(scene, KV_LOG_NAME), scene->log.inode);
        assert_false(store_dir_has(scene->dir, KV_INDEX_NAME));
        free_scene(scene);
    }
}

static void compaction_in_private_memory_leaves_no_index(void **state)
{
    struct scene *scene = make_live_scene(state);
    struct kv_keydir live = scene->old_keydir;
    live.directory = NULL; /* What is built from it is private. */
    assert_int_equal(compaction_run(&scene->dir->directory,
                                    &scene->old_log,
                                    &live,
                                    &scene->log,
                                    &scene->keydir),
                     KVSTORE_OK);
    scene->switchover.log = &scene->log;
    scene->switchover.is_log_new = true;
    scene->switchover.keydir = &scene->keydir;

    assert_int_equal(run(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "lSS uSS dXS ");
    assert_false(scene->switchover.is_keydir_in_place);
    assert_false(store_dir_has(scene->dir, KV_INDEX_NAME));
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
    assert_true(scene->switchover.is_log_in_place);
    assert_int_equal(poison_of(&scene->keydir), scene->log.inode);
    assert_new_index_is_named(scene, &scene->log);
    free_scene(scene);
}

static void failed_sync_after_building_poisons(void **state)
{
    struct scene *scene = make_scene(state);
    build(scene, &scene->keydir);
    scene->switchover.log = &scene->old_log;
    scene->switchover.keydir = &scene->keydir;

    assert_int_equal(run_failing(scene, 'd', EIO), KVSTORE_IO);

    assert_int_equal(poison_of(&scene->keydir), scene->old_log.inode);
    assert_new_index_is_named(scene, &scene->old_log);
    free_scene(scene);
}

/* --- What a dead process has left --- */

static kvstore_status complete(struct scene *scene)
{
    begin_notes(&scene->others_index, NULL);
    kvstore_status status = kv_switchover_complete(
        &scene->dir->directory, &scene->old_log, &scene->old_keydir.index);
    end_notes();
    return status;
}

static void unsettled_index_is_synced_and_live(void **state)
{
    struct scene *scene = make_live_scene(state);
    atomic_store(&scene->old_keydir.index.header->state, KV_INDEX_SWITCHING);

    assert_int_equal(complete(scene), KVSTORE_OK);

    assert_string_equal(notes.steps, "fS- dS- pS- ");
    assert_int_equal(state_letter(&scene->others_index), 'L');
    free_scene(scene);
}

static void unsettled_index_that_cannot_be_synced_stays_so(void **state)
{
    static const char steps[] = {'f', 'd'};
    struct scene *scene = make_live_scene(state);
    atomic_store(&scene->old_keydir.index.header->state, KV_INDEX_SWITCHING);
    for (size_t i = 0; i < sizeof steps; i++) {
        notes.failing = steps[i];
        notes.system_errno = EIO;

        assert_int_equal(complete(scene), KVSTORE_IO);

        assert_int_equal(state_letter(&scene->others_index), 'S');
    }
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
        STORE_TEST(unsettled_index_that_cannot_be_synced_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
