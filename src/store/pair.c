/* SPDX-License-Identifier: MIT */

/* How a handle's pair is opened, followed and changed.
 *
 * Invariants:
 * 1. With a shared index: a process that has the writers' lock, finds the state
 *    LIVE and both files with their names, and the totals applied up to the end
 *    of the log, knows that nothing is missing from the index.
 * 2. Names are checked every KV_NAME_CHECK_NS, and for each durable write. A
 *    process that names an index of which the others cannot have been notified
 *    waits KV_GRACE_NS before anything is acknowledged under it.
 * 3. A line that this handle did not write is on the disk before it is
 *    published, if the handle is durable.
 * 4. A pair in private memory looks the log up by name at each call. Nobody
 *    appends by such a pair; what rewrites the log by one has made sure that no
 *    index has a name.
 * 5. An index that is installed is in use: other threads read it at any time,
 *    and may know only what it has published. Its totals in the handle are for
 *    the thread past the gate. */

#include "store/pair.h"

#include "log/line.h"
#include "log/log.h"
#include "os/error.h"
#include "os/file.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/barrier.h"
#include "store/verify.h"

#include <errno.h>

void kv_pair_close(struct kv_pair *pair)
{
    kv_index_release(&pair->index);
    kv_log_close(&pair->log);
}

bool kv_store_has_old(const struct kvstore *store)
{
    return store->old_log.file.fd >= 0 ||
           store->old_index.memory.region != NULL;
}

struct kv_pair kv_store_take_old(struct kvstore *store)
{
    struct kv_pair old = {.log = store->old_log, .index = store->old_index};
    store->old_log = KV_LOG_NONE;
    store->old_index = KV_INDEX_NONE;
    return old;
}

/* Why the next handle like this one must read all of the log, too. */
static int judge_open(const struct kvstore *store,
                      const struct kv_log *log,
                      const struct kv_index *index)
{
    if (!index->is_shared) {
        return KVSTORE_OPEN_PRIVATELY;
    }
    if (store->boot_id == 0) {
        return KVSTORE_OPEN_NO_BOOT_ID;
    }
    return kv_io_mount_id(&log->file) == 0 ? KVSTORE_OPEN_NO_MOUNT_ID
                                           : KVSTORE_OPEN_FAST;
}

/* One of the same log stays, whatever descriptors the log is read by. */
static struct kv_barrier *barrier_for(const struct kvstore *store,
                                      const struct kv_log *log)
{
    if (store->barrier != NULL && kv_barrier_is_of(store->barrier, log)) {
        return store->barrier;
    }
    return store->is_read_only ? NULL
                               : kv_barrier_create(&store->directory, log);
}

void kv_store_install(struct kvstore *store,
                      const struct kv_log *log,
                      const struct kv_index *index)
{
    struct kv_pair older = kv_store_take_old(store);
    kv_pair_close(&older);
    atomic_store(&store->slow_open, judge_open(store, log, index));
    struct kv_barrier *old_barrier = store->barrier;
    struct kv_barrier *barrier = barrier_for(store, log);
    kv_reader_lock_write(&store->reader_lock);
    store->barrier = barrier;
    struct kv_log old_log = store->log;
    store->old_index = store->index;
    store->log = *log;
    store->index = *index;
    if (!index->is_in_use) {
        kv_index_begin_use(&store->index);
    }
    if (index->is_shared) {
        store->left_inode = 0;
        /* No process cuts the log within what a shared index has of it. */
        kv_log_map(&store->log);
        if (store->is_exclusive) {
            kv_log_open_tail(&store->log, !store->is_durable);
        }
    }
    if (atomic_load(&store->poisoned_inode) != log->inode) {
        /* The old log is still open, so its number is no other file's. */
        atomic_store(&store->poisoned_inode, 0);
    }
    if (old_log.file.fd != log->file.fd) {
        store->looked_ns = KV_NEVER_NS;
        atomic_store(&store->log_names, log->names);
        atomic_store(&store->size_limit, kv_io_size_limit());
        store->old_log = old_log;
        atomic_store(&store->synced, 0);
        atomic_store(&store->owes_directory, true);
    }
    kv_reader_lock_end_write(&store->reader_lock);
    if (old_barrier != barrier) {
        kv_barrier_leave(old_barrier);
    }
}

kvstore_status kv_store_open_log(const struct kvstore *store,
                                 struct kv_log *log)
{
    kvstore_status status =
        kv_log_open(&store->directory, !store->is_read_only, log);
    return status == KVSTORE_NOT_FOUND
               ? kv_fail_errno(KVSTORE_IO, ENOENT, "%s is gone", KV_LOG_NAME)
               : status;
}

/* --- Checking that the pair is up to date --- */

kvstore_status kv_store_check_names(struct kvstore *store,
                                    bool must_check,
                                    struct kv_store_names *names_out)
{
    int64_t now_ns = kv_io_clock_coarse_ns();
    *names_out = (struct kv_store_names){.are_ours = true};
    if (!must_check &&
        now_ns - atomic_load(&store->checked_ns) < KV_NAME_CHECK_NS) {
        return KVSTORE_OK;
    }
    struct kv_log_place place = {.is_current = false};
    uint64_t end = atomic_load(&store->index.table.header->end);
    kvstore_status status = kv_index_file_is_current(
        &store->directory, &store->index.memory, &names_out->are_ours);
    if (status == KVSTORE_OK && names_out->are_ours) {
        status = kv_log_look(&store->log, &store->directory, &place);
        *names_out = (struct kv_store_names){.are_ours = place.is_current &&
                                                         end <= place.size + 1,
                                             .were_checked = true,
                                             .log_size = place.size};
    }
    if (status == KVSTORE_OK && names_out->are_ours) {
        atomic_store(&store->log_names, place.names);
        atomic_store(&store->size_limit, place.size_limit);
        atomic_store(&store->checked_ns, now_ns);
    }
    return status;
}

static kvstore_status is_shared_pair_up(struct kvstore *store, bool *is_up_out)
{
    *is_up_out = false;
    uint64_t state = atomic_load(&store->index.table.header->state);
    if (state == KV_TABLE_LIVE) {
        struct kv_store_names names;
        kvstore_status status = kv_store_check_names(store, false, &names);
        *is_up_out = status == KVSTORE_OK && names.are_ours;
        return status;
    }
    /* Nothing is acknowledged while a switch is under way; nor, if it is this
     * handle's, before the handle has the new pair. */
    if (atomic_load(&store->is_switching)) {
        *is_up_out = true;
        return KVSTORE_OK;
    }
    return state == KV_TABLE_SWITCHING
               ? kv_index_file_is_current(
                     &store->directory, &store->index.memory, is_up_out)
               : KVSTORE_OK;
}

/* Reads the totals first: what another thread of the handle has applied was in
 * the log before that. */
static kvstore_status is_private_pair_up(struct kvstore *store, bool *is_up_out)
{
    struct kv_table_totals totals;
    struct kv_log_place place;
    *is_up_out = false;
    if (store->index.memory.region == NULL ||
        kv_table_writing(&store->index.table) == KV_TABLE_PUBLISHING ||
        !kv_table_load_totals(&store->index.table, &totals)) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_log_look(&store->log, &store->directory, &place);
    uint64_t size = place.size;
    if (status == KVSTORE_OK && place.is_current && totals.applied < size) {
        bool has_lines = true;
        status = kv_log_has_more(&store->log, totals.applied, size, &has_lines);
        size = has_lines ? size : totals.applied;
    }
    /* The newline that the last line lacks is already counted. */
    *is_up_out = status == KVSTORE_OK && place.is_current &&
                 (totals.applied == size || totals.applied == size + 1);
    return status;
}

kvstore_status kv_store_is_up(struct kvstore *store, bool *is_up_out)
{
    return store->index.is_shared ? is_shared_pair_up(store, is_up_out)
                                  : is_private_pair_up(store, is_up_out);
}

/* --- Opening by name --- */

/* True if the totals of a trusted file, of one moment, can be those of a log of
 * this size. */
static bool are_of_log(const struct kv_table *table,
                       const struct kv_table_totals *totals,
                       uint64_t size)
{
    /* The writer of such a slot wrote this first; but it may be damaged. */
    bool has_lost_damage = totals->damage_slots > 0 &&
                           atomic_load(&table->header->has_damage) == 0;
    return kv_table_totals_add_up(table, totals) &&
           totals->applied <= size + 1 && !has_lost_damage &&
           kv_table_is_explained(table, totals->slots_used);
}

/* Finds out whether a line ends where the totals do, and the last one is what it
 * was: what follows may be cut off as torn. */
static kvstore_status match_end(const struct kv_pair *pair,
                                uint64_t size,
                                bool *matches_out)
{
    const struct kv_table_totals *totals = &pair->index.totals;
    kvstore_status status =
        kv_index_matches(&pair->index, &pair->log, matches_out);
    bool is_known =
        totals->last.offset + totals->last.length == totals->applied ||
        totals->applied == size + 1;
    return status == KVSTORE_OK && *matches_out && !is_known
               ? kv_log_begins_line(&pair->log, totals->applied, matches_out)
               : status;
}

/* Checks whether the index, whose file may be trusted, is in step with the log.
 * has_more_out: a process with the lock should look. */
static kvstore_status check_step(struct kv_pair *pair,
                                 bool *is_in_step_out,
                                 bool *has_more_out)
{
    struct kv_table *table = &pair->index.table;
    uint64_t size = 0;
    /* The totals first: the log is no shorter than they say, however busy its
     * writers are. */
    bool are_exact = kv_table_load_totals(table, &pair->index.totals);
    uint64_t end =
        atomic_load_explicit(&table->header->end, memory_order_acquire);
    kvstore_status status = kv_io_end(&pair->log.file, &size);
    *has_more_out = true;
    *is_in_step_out = end <= size + 1;
    if (status != KVSTORE_OK || !*is_in_step_out || !are_exact) {
        return status;
    }
    *is_in_step_out = are_of_log(table, &pair->index.totals, size);
    if (*is_in_step_out) {
        status = match_end(pair, size, is_in_step_out);
    }
    return status == KVSTORE_OK &&
                   kv_table_writing(table) != KV_TABLE_PUBLISHING
               ? kv_log_has_more(
                     &pair->log, pair->index.totals.applied, size, has_more_out)
               : status;
}

static struct kv_index_view view_of(const struct kvstore *store,
                                    const struct kv_log *log)
{
    struct kv_io_birth birth = kv_io_birth(&log->file);
    return (struct kv_index_view){
        .identity = {.log_device = log->device,
                     .log_inode = log->inode,
                     .log_birth_ns = birth.time_ns,
                     .log_generation = birth.generation},
        .boot_id = store->boot_id,
        .mount_id = kv_io_mount_id(&log->file)};
}

kvstore_status kv_pair_open(const struct kvstore *store,
                            struct kv_pair *pair,
                            enum kv_index_file_trust *trust_out,
                            bool *has_more_out)
{
    *pair = (struct kv_pair){.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    *trust_out = KV_INDEX_FILE_UNTRUSTED;
    kvstore_status status = kv_store_open_log(store, &pair->log);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_index_view view = view_of(store, &pair->log);
    *trust_out = kv_index_file_open(&store->directory,
                                    &pair->log.file,
                                    &view,
                                    !store->is_read_only,
                                    &pair->index.memory,
                                    &pair->index.table);
    if (*trust_out <= KV_INDEX_FILE_UNUSABLE) {
        return KVSTORE_OK;
    }
    pair->index.directory = &store->directory;
    pair->index.is_in_use = true;
    pair->index.is_shared = true;
    bool is_in_step = false;
    status = check_step(pair, &is_in_step, has_more_out);
    if (status == KVSTORE_OK && !is_in_step) {
        *trust_out = KV_INDEX_FILE_UNTRUSTED;
        kv_index_release(&pair->index);
    }
    return status;
}

kvstore_status kv_pair_check(struct kvstore *store,
                             struct kv_pair *pair,
                             enum kv_index_file_trust *trust)
{
    struct kv_index_view view = view_of(store, &pair->log);
    struct kv_table_totals totals;
    bool is_true = true;
    bool is_sure = false;
    if (!kv_table_load_totals(&pair->index.table, &totals)) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_verify_index(&pair->index,
                                            &pair->log,
                                            totals.applied,
                                            kv_store_progress(store),
                                            &is_true,
                                            &is_sure);
    if (status == KVSTORE_OK && !is_true) {
        *trust = KV_INDEX_FILE_UNTRUSTED;
    } else if (status == KVSTORE_OK && is_sure) {
        *trust =
            kv_index_file_vouch(&pair->index.memory, &pair->index.table, &view);
    }
    return status;
}

bool kv_pair_is_checked_alone(const struct kvstore *store,
                              const struct kv_pair *pair)
{
    return store->is_read_only || store->boot_id == 0 ||
           (kv_io_mount_id(&pair->log.file) == 0 &&
            kv_index_file_is_of_boot(&pair->index.table, store->boot_id));
}

/* True if the handle goes by its own index since reads have found this one
 * wrong. */
static bool has_left(const struct kvstore *store, const struct kv_pair *pair)
{
    return store->left_inode != 0 && pair->index.is_shared &&
           pair->log.inode == store->left_inode &&
           pair->index.table.secret.words[0] == store->left_secret;
}

kvstore_status kv_store_open_pair(struct kvstore *store,
                                  bool may_check,
                                  enum kv_index_file_trust *trust_out,
                                  bool *has_more_out)
{
    struct kv_pair pair;
    *has_more_out = false;
    int64_t looked_ns = kv_io_clock_coarse_ns();
    kvstore_status status = kv_pair_open(store, &pair, trust_out, has_more_out);
    if (status == KVSTORE_OK && has_left(store, &pair)) {
        *trust_out = KV_INDEX_FILE_UNTRUSTED;
    }
    if (status == KVSTORE_OK && *trust_out == KV_INDEX_FILE_UNCHECKED &&
        may_check && !*has_more_out && kv_pair_is_checked_alone(store, &pair)) {
        /* Lines past an index at rest are not acknowledged: but it may be of an
         * earlier moment, as a power cut leaves it, and they may have been since.
         * Who has the lock finds out. */
        status = kv_pair_check(store, &pair, trust_out);
    }
    if (status != KVSTORE_OK || *trust_out != KV_INDEX_FILE_TRUSTED) {
        *has_more_out = false;
        kv_pair_close(&pair);
        return status;
    }
    atomic_store(&store->checked_ns, looked_ns);
    kv_store_install(store, &pair.log, &pair.index);
    return KVSTORE_OK;
}

struct kv_table *kv_store_told_table(struct kvstore *store)
{
    bool is_current = false;
    return store->index.is_shared &&
                   kv_index_file_is_current(&store->directory,
                                            &store->index.memory,
                                            &is_current) == KVSTORE_OK &&
                   is_current
               ? &store->index.table
               : NULL;
}

const struct kv_progress *kv_store_progress(const struct kvstore *store)
{
    return store->is_quiet ? NULL : &store->progress;
}
