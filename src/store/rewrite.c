/* SPDX-License-Identifier: MIT */

/* How the log is rewritten as a whole: by compaction, and by repair. Both make
 * a new log and its index beside the old pair, and then switch. After a failure
 * before the switch everything is as it was. A repair is done within one write;
 * a compaction takes the writers' lock twice, each time for a moment: to begin,
 * and for its last round and the switch. */

#include "store/rewrite.h"

#include "index/file.h"
#include "index/index.h"
#include "index/table.h"
#include "log/log.h"
#include "log/successor.h"
#include "os/access.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/file.h"
#include "os/gate.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/compaction.h"
#include "store/compaction_output.h"
#include "store/handle.h"
#include "store/lock.h"
#include "store/mend.h"
#include "store/pair.h"
#include "store/shared.h"
#include "store/snapshot.h"
#include "store/switch.h"
#include "store/sync.h"

/* The most that is copied under the writers' lock, and how many rounds are made
 * to get down to it. If a writer is faster than all of them, it waits. Tests
 * have rounds for less. */
#ifndef KV_LAST_ROUND_SIZE
#define KV_LAST_ROUND_SIZE ((uint64_t)1 << 20)
#endif
#define ROUNDS_MAX 32

/* How often the lock is taken in vain, because too much is left, before all of
 * it is copied under the lock; and for how long one try for it waits. */
#define LAST_TRIES 8
#define WAIT_SLICE_MS 50

/* Writers that were asked to slow down do so for twice as long as it took to
 * gain what they must wait for, and at least for this long, or until that is
 * taken back: the process that asked may die. */
#define SLOW_NS_MIN INT64_C(500000000)

/* The old log's owner and mode may have changed since the new one was made. */
static kvstore_status adopt_log(const struct kvstore *store,
                                const struct kv_log *log,
                                const struct kv_index *index)
{
    kvstore_status status = kv_io_adopt_place(&log->file, &store->log.file);
    if (status == KVSTORE_OK && index->memory.file.fd >= 0) {
        status = kv_io_adopt_file(&index->memory.file, &store->log.file);
    }
    return status;
}

/* Puts a new log and its index in the place of those that the pair has.
 * is_in_place_out: if false, both are still the caller's. */
static kvstore_status switch_log(struct kvstore *store,
                                 struct kv_log *log,
                                 struct kv_index *index,
                                 bool *is_in_place_out)
{
    struct kv_table *old_table = kv_store_told_table(store);
    struct kv_table *lost_table = old_table == NULL && store->index.is_shared
                                      ? &store->index.table
                                      : NULL;
    struct kv_switch change = {.directory = &store->directory,
                               .old_table = old_table,
                               .lost_table = lost_table,
                               .log = log,
                               .is_log_new = true,
                               .index = index};
    *is_in_place_out = false;
    kvstore_status status = adopt_log(store, log, index);
    if (status != KVSTORE_OK) {
        return status;
    }
    atomic_store(&store->is_switching, true);
    status = kv_switch_run(&change);
    *is_in_place_out = change.is_log_in_place;
    if (change.is_log_in_place) {
        kv_store_install(store, log, index);
    }
    atomic_store(&store->is_switching, false);
    if (!change.is_log_in_place) {
        return status;
    }
    atomic_store(&store->synced, index->totals.applied);
    atomic_store(&store->poisoned_inode, 0);
    if (status != KVSTORE_OK) {
        /* The rename may still be undone by a power cut. */
        kv_store_poison(store);
        return KVSTORE_IO;
    }
    return KVSTORE_OK;
}

/* Returns what the caller gets for a failure before the switch. */
static kvstore_status failure_status(kvstore_status status)
{
    switch (status) {
    case KVSTORE_IO:
    case KVSTORE_CORRUPT:
    case KVSTORE_TOO_LARGE:
    case KVSTORE_BAD_JSON:
        return kv_fail_as(KVSTORE_COMPACTION_FAILED);
    default:
        return status;
    }
}

/* --- Compacting --- */

/* A compaction of the handle's pair. */
struct rewrite {
    struct kvstore *store;
    bool is_quiet;               /* The program gets no progress reports. */
    bool has_slowed;             /* Writers were asked to slow down. */
    int64_t round_began_ns;      /* Or the copy. */
    struct kv_snapshot snapshot; /* Of the old pair, if that is shared. */
    struct kv_compaction compaction;
    bool is_in_place;
};

/* Takes the writers' lock for a compaction, within the timeout, unless the
 * compaction is given up. */
static kvstore_status enter_store(const struct rewrite *rewrite,
                                  int32_t timeout_ms)
{
    struct kvstore *store = rewrite->store;
    const atomic_bool *is_given_up = rewrite->compaction.is_given_up;
    int64_t deadline_ns = kv_store_deadline(timeout_ms);
    kvstore_status status = KVSTORE_BUSY;
    do {
        struct kv_gate_waiter waiter = {.has_work = false};
        const struct kv_store_intent intent = {
            .takes_poisoned = true,
            .is_quiet = rewrite->is_quiet,
            .is_compaction = true,
            .timeout_ms =
                timeout_ms < WAIT_SLICE_MS ? timeout_ms : WAIT_SLICE_MS};
        status = kv_store_begin_write(store, &waiter, &intent);
        if (status != KVSTORE_OK) {
            atomic_store(&store->compactor.is_behind_gate, false);
        }
    } while (status == KVSTORE_BUSY &&
             (is_given_up == NULL || !atomic_load(is_given_up)) &&
             kv_io_clock_ns() < deadline_ns);
    return status;
}

static void leave_store(struct kvstore *store)
{
    kv_store_end_write(store);
    atomic_store(&store->compactor.is_behind_gate, false);
}

/* Within a write. An index in private memory stays as it is only for that
 * long. */
static kvstore_status begin(struct rewrite *rewrite)
{
    struct kvstore *store = rewrite->store;
    struct kv_compaction *compaction = &rewrite->compaction;
    compaction->directory = &store->directory;
    compaction->log = &store->log;
    compaction->index = &store->index;
    kv_index_file_sweep(&store->directory);
    if (store->index.is_shared) {
        kvstore_status status =
            kv_store_open_snapshot_within(store, &rewrite->snapshot);
        if (status != KVSTORE_OK) {
            return status;
        }
        compaction->log = &rewrite->snapshot.log;
        compaction->index = &rewrite->snapshot.index;
    }
    return kv_compaction_begin(compaction);
}

/* Within a write: copies the rest, and switches. */
static kvstore_status finish(struct rewrite *rewrite)
{
    struct kvstore *store = rewrite->store;
    struct kv_compaction *compaction = &rewrite->compaction;
    uint64_t end = store->index.totals.applied;
    if (store->log.inode != compaction->log->inode ||
        store->log.device != compaction->log->device ||
        store->index.is_shared != rewrite->snapshot.has_index) {
        return kv_fail(KVSTORE_BUSY, "%s was replaced meanwhile", KV_LOG_NAME);
    }
    kvstore_status status = kv_compaction_follow(compaction, end);
    if (status == KVSTORE_OK) {
        status = kv_compaction_check(compaction, &store->index.totals);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_sync(compaction);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    compaction->new_index.totals.compactions =
        store->index.totals.compactions + 1;
    kv_table_succeed(&compaction->new_index.table,
                     &compaction->new_index.totals,
                     store->log.inode,
                     &store->index.totals);
    status = switch_log(store,
                        &compaction->new_log,
                        &compaction->new_index,
                        &rewrite->is_in_place);
    if (rewrite->is_in_place) {
        compaction->new_log = KV_LOG_NONE;
        compaction->new_index = KV_INDEX_NONE;
    }
    return status;
}

/* Returns how much the log has gained that is not copied, as far as this handle
 * knows without the lock. */
static uint64_t gained_so_far(const struct rewrite *rewrite)
{
    struct kvstore *store = rewrite->store;
    uint64_t copied = rewrite->compaction.copied;
    kv_reader_lock_read(&store->reader_lock);
    uint64_t applied = store->log.inode == rewrite->compaction.log->inode
                           ? kv_table_peek_totals(&store->index.table).applied
                           : 0;
    kv_reader_lock_end_read(&store->reader_lock);
    return applied > copied ? applied - copied : 0;
}

/* The next round may take as long as the last one, in which this was gained. */
static void slow_writers(struct rewrite *rewrite)
{
    int64_t ns = 2 * (kv_io_clock_ns() - rewrite->round_began_ns);
    kv_store_slow_writers(rewrite->store, ns > SLOW_NS_MIN ? ns : SLOW_NS_MIN);
    rewrite->has_slowed = true;
}

/* Returns how much a round must copy. Writers that gained more than half of
 * what the one before, or the copy, had to copy are asked to slow down. */
static uint64_t begin_round(struct rewrite *rewrite, uint64_t size_before)
{
    uint64_t gained = gained_so_far(rewrite);
    if (gained > KV_LAST_ROUND_SIZE && gained > size_before / 2) {
        slow_writers(rewrite);
    }
    return gained;
}

/* Makes rounds without the lock, until what is left fits into the last one. */
static kvstore_status follow_writers(struct rewrite *rewrite)
{
    struct kv_compaction *compaction = &rewrite->compaction;
    uint64_t gained = compaction->copied;
    (void)begin_round(rewrite, gained); /* The sync takes its time, too. */
    kvstore_status status = kv_compaction_sync(compaction);
    for (int round = 0; round < ROUNDS_MAX && status == KVSTORE_OK; round++) {
        gained = begin_round(rewrite, gained);
        if (gained <= KV_LAST_ROUND_SIZE) {
            break;
        }
        rewrite->round_began_ns = kv_io_clock_ns();
        status = kv_compaction_follow(compaction, compaction->copied + gained);
        if (status == KVSTORE_OK) {
            status = kv_compaction_sync(compaction);
        }
    }
    /* What the file system has to write for others is written now, rather than
     * by the syncs under the lock. */
    return status == KVSTORE_OK ? kv_io_sync(&rewrite->store->directory)
                                : status;
}

/* Takes the writers' lock again. A long copy must not be lost because others
 * are writing just now. */
static kvstore_status enter_store_again(const struct rewrite *rewrite)
{
    int32_t timeout_ms = rewrite->store->lock_timeout_ms;
    return enter_store(rewrite,
                       timeout_ms > KV_LOCK_TIMEOUT_MS_DEFAULT
                           ? timeout_ms
                           : KV_LOCK_TIMEOUT_MS_DEFAULT);
}

/* Follows the writers, and takes the lock when there is little left. Within a
 * write on KVSTORE_OK. */
static kvstore_status catch_writers(struct rewrite *rewrite)
{
    struct kvstore *store = rewrite->store;
    for (int tries = 1;; tries++) {
        kvstore_status status = follow_writers(rewrite);
        if (status == KVSTORE_OK) {
            status = enter_store_again(rewrite);
        }
        if (status != KVSTORE_OK) {
            return status;
        }
        uint64_t end = store->index.totals.applied;
        if (end <= rewrite->compaction.copied + KV_LAST_ROUND_SIZE ||
            tries == LAST_TRIES) {
            return KVSTORE_OK;
        }
        leave_store(store);
    }
}

/* Begins within a write, and ends outside it. */
static kvstore_status copy_and_switch(struct rewrite *rewrite)
{
    struct kvstore *store = rewrite->store;
    kvstore_status status = begin(rewrite);
    bool is_within = true;
    if (status == KVSTORE_OK && rewrite->snapshot.has_index) {
        leave_store(store);
        is_within = false;
    }
    if (status == KVSTORE_OK) {
        rewrite->round_began_ns = kv_io_clock_ns();
        status = kv_compaction_copy(&rewrite->compaction);
    }
    if (status == KVSTORE_OK && !is_within) {
        status = catch_writers(rewrite);
        is_within = status == KVSTORE_OK;
    }
    if (status == KVSTORE_OK) {
        status = finish(rewrite);
    }
    if (rewrite->has_slowed) {
        kv_store_slow_writers(store, 0);
    }
    if (is_within) {
        leave_store(store);
    }
    return status;
}

static kvstore_status compact_once(struct kvstore *store,
                                   const struct kv_progress *progress,
                                   const atomic_bool *is_given_up)
{
    struct rewrite rewrite = {
        .store = store,
        .is_quiet = progress == NULL,
        .snapshot = {.log = KV_LOG_NONE, .index = KV_INDEX_NONE},
        .compaction = {.directory = &store->directory,
                       .progress = progress,
                       .is_given_up = is_given_up,
                       .new_log = KV_LOG_NONE,
                       .new_index = KV_INDEX_NONE}};
    kvstore_status status = enter_store(&rewrite, store->lock_timeout_ms);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = copy_and_switch(&rewrite);
    kv_compaction_release(&rewrite.compaction);
    kv_snapshot_close(&rewrite.snapshot);
    return rewrite.is_in_place || status == KVSTORE_CORRUPT
               ? status
               : failure_status(status);
}

/* The index is a cache that may lie; the log does not. A line that was
 * acknowledged, and has rotted so that it looks torn, leaves the log here as
 * any torn tail does: saved, if it may be more than one write. */
static kvstore_status rebuild(struct kvstore *store,
                              const struct kv_progress *progress,
                              const atomic_bool *is_given_up)
{
    struct rewrite rewrite = {.store = store,
                              .is_quiet = progress == NULL,
                              .compaction = {.is_given_up = is_given_up}};
    kvstore_status status = enter_store(&rewrite, store->lock_timeout_ms);
    if (status != KVSTORE_OK) {
        return status;
    }
    bool has_gained = false;
    status = kv_store_rebuild_locked(store, KV_ALONE_TO_REWRITE);
    if (status == KVSTORE_OK && !kv_store_is_poisoned(store)) {
        status = kv_store_mend(store, &has_gained);
    }
    leave_store(store);
    return has_gained ? kv_fail(KVSTORE_BUSY,
                                "busy: another process appends to %s",
                                KV_LOG_NAME)
                      : status;
}

kvstore_status kv_store_compact(struct kvstore *store,
                                const struct kv_progress *progress,
                                const atomic_bool *is_given_up)
{
    kvstore_status status = compact_once(store, progress, is_given_up);
    if (status == KVSTORE_CORRUPT) {
        status = rebuild(store, progress, is_given_up);
        if (status == KVSTORE_OK) {
            status = compact_once(store, progress, is_given_up);
        }
        if (status == KVSTORE_CORRUPT) {
            status = failure_status(status);
        }
    }
    return status;
}

/* --- Repairing --- */

static kvstore_status write_repaired(struct kvstore *store,
                                     struct kv_repair *repair,
                                     bool *is_in_place_out)
{
    struct kv_log log;
    struct kv_index index;
    kvstore_status status =
        kv_repair_write(repair, &store->index, &log, &index);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = switch_log(store, &log, &index, is_in_place_out);
    if (!*is_in_place_out) {
        kv_successor_discard(&store->directory, &log);
        kv_index_release(&index);
        kv_repair_undo(repair);
    }
    return status;
}

/* Builds the index anew if it knows of damage that is not there. */
static kvstore_status forget_damage(struct kvstore *store)
{
    return store->index.totals.counts.damaged_records == 0
               ? KVSTORE_OK
               : kv_store_rebuild_locked(store, KV_ALONE_TO_REWRITE);
}

kvstore_status kv_store_repair(struct kvstore *store, struct kv_repair *repair)
{
    struct kv_log old_log = store->log;
    bool is_in_place = false;
    *repair = (struct kv_repair){.directory = &store->directory,
                                 .log = &old_log,
                                 .end = store->index.totals.applied,
                                 .progress = &store->progress};
    kv_index_file_sweep(&store->directory);
    kvstore_status status = kv_repair_find(repair);
    if (status == KVSTORE_OK) {
        status = repair->count == 0
                     ? forget_damage(store)
                     : write_repaired(store, repair, &is_in_place);
    }
    repair->log = NULL;
    return is_in_place ? status : failure_status(status);
}
