/* SPDX-License-Identifier: MIT */

/* How a watcher finds its way through the log, and from one log to the next.
 *
 * Invariants:
 * 1. A watcher reads its log by a descriptor of its own. Nothing is read past
 *    what the pair's index has applied at a look, or past where the log ended
 *    when another one took its place.
 * 2. It goes on from its place only if the line before that is what it was. Else
 *    it resets.
 * 3. It goes on to another log only at the old one's end, and only if that log's
 *    index says that the old one, with that end and that last line, is the one
 *    that it was made of. What then follows are the changes that the old log
 *    lacks.
 * 4. A reset gives the state at one place of a log, and goes on from there. */

#include "store/watcher.h"

#include "index/build.h"
#include "log/fold.h"
#include "os/error.h"
#include "os/file.h"
#include "store/doubt.h"
#include "store/handle.h"
#include "store/ref.h"
#include "store/sync.h"

#include <assert.h>

/* --- Looking at the store --- */

/* Within a read. */
static kvstore_status open_own(const struct kv_log *log, struct kv_log *own_out)
{
    *own_out = KV_LOG_NONE;
    own_out->device = log->device;
    own_out->inode = log->inode;
    return kv_io_duplicate(&log->file, &own_out->file);
}

/* A rebuilt index has another secret. */
static uint64_t secret_of(const struct kvstore *store)
{
    return store->index.table.secret.words[0];
}

static kvstore_status fail_closed(void)
{
    return kv_fail(KVSTORE_INVALID, "the store has been closed");
}

/* Begins a read of the store, if that is still open. */
static kvstore_status begin_look(const struct kvstore_watcher *watcher,
                                 struct kvstore **store_out)
{
    *store_out = kv_store_ref_enter(watcher->ref);
    if (*store_out == NULL) {
        return fail_closed();
    }
    kvstore_status status = kv_store_begin_read(*store_out);
    if (status != KVSTORE_OK) {
        kv_store_ref_leave(watcher->ref);
    }
    return status;
}

static void end_look(const struct kvstore_watcher *watcher,
                     struct kvstore *store)
{
    kv_store_end_read(store);
    kv_store_ref_leave(watcher->ref);
}

static void lose_place(struct kvstore_watcher *watcher)
{
    watcher->phase = WATCH_RESET;
    kv_log_close(&watcher->next_log);
}

/* Within a read, where the store has another log. */
static kvstore_status follow_log(struct kvstore_watcher *watcher,
                                 const struct kvstore *store)
{
    struct kv_table_succession succession =
        kv_table_succession(&store->index.table);
    if (succession.log_inode != watcher->log.inode ||
        store->log.device != watcher->log.device ||
        succession.log_end < watcher->changes.place.offset) {
        lose_place(watcher);
        return KVSTORE_OK;
    }
    watcher->succession = succession;
    watcher->end = succession.log_end;
    return open_own(&store->log, &watcher->next_log);
}

/* Within a read. must_match_out: what has changed may be more than that the log
 * has grown. */
static kvstore_status look_at(struct kvstore_watcher *watcher,
                              struct kvstore *store,
                              bool *must_match_out)
{
    *must_match_out = false;
    if (watcher->next_log.file.fd >= 0) {
        return KVSTORE_OK;
    }
    if (store->log.inode != watcher->log.inode ||
        store->log.device != watcher->log.device) {
        *must_match_out = true;
        return follow_log(watcher, store);
    }
    uint64_t applied = kv_table_peek_totals(&store->index.table).applied;
    if (applied == watcher->end && secret_of(store) == watcher->index_secret) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_store_ensure_synced(store, applied);
    if (status == KVSTORE_OK) {
        *must_match_out = true;
        watcher->end = applied;
        watcher->index_secret = secret_of(store);
    }
    return status;
}

/* Checks that the place is what it was. If that fails, the next look does. */
static kvstore_status match_place(struct kvstore_watcher *watcher)
{
    bool matches = false;
    const struct kv_changes_place *place = &watcher->changes.place;
    kvstore_status status = kv_changes_match(place, &watcher->log, &matches);
    if (status != KVSTORE_OK) {
        kv_log_close(&watcher->next_log);
        watcher->end = place->offset;
        watcher->index_secret = 0;
    } else if (!matches) {
        lose_place(watcher);
    }
    return status;
}

/* Looks how far the log may be read, or which one has followed it. */
static kvstore_status look_once(struct kvstore_watcher *watcher)
{
    struct kvstore *store = NULL;
    bool must_match = false;
    kvstore_status status = begin_look(watcher, &store);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = look_at(watcher, store, &must_match);
    end_look(watcher, store);
    return status == KVSTORE_OK && must_match ? match_place(watcher) : status;
}

/* At the end of the old log. */
static kvstore_status go_on_to_next_log(struct kvstore_watcher *watcher)
{
    const struct kv_table_succession *succession = &watcher->succession;
    const struct kv_changes_place begin = {
        .offset = succession->begin,
        .last = {.offset = succession->begin - succession->last_length,
                 .length = succession->last_length},
        .last_sum = succession->last_sum};
    bool is_first = succession->begin == 0;
    bool matches = is_first == (succession->last_length == 0) &&
                   succession->last_length <= succession->begin &&
                   watcher->changes.place.last_sum == succession->log_sum;
    kvstore_status status =
        matches ? kv_changes_match(&begin, &watcher->next_log, &matches)
                : KVSTORE_OK;
    if (status != KVSTORE_OK) {
        return status;
    }
    if (!matches) {
        lose_place(watcher);
        return KVSTORE_OK;
    }
    kv_log_close(&watcher->log);
    watcher->log = watcher->next_log;
    watcher->next_log = KV_LOG_NONE;
    watcher->end = begin.offset;
    watcher->torn_end = UINT64_MAX;
    kv_changes_go_to(&watcher->changes, &begin);
    return KVSTORE_OK;
}

/* --- Beginning --- */

/* Within a read: takes the store's log and its end. */
static kvstore_status begin_at_end(struct kvstore_watcher *watcher,
                                   struct kvstore *store,
                                   bool *is_exact_out)
{
    struct kv_table_totals totals = kv_store_totals(store, is_exact_out);
    struct kv_log log;
    kvstore_status status = kv_store_ensure_synced(store, totals.applied);
    if (status == KVSTORE_OK) {
        status = open_own(&store->log, &log);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_log_close(&watcher->next_log);
    kv_log_close(&watcher->log);
    watcher->log = log;
    watcher->end = totals.applied;
    watcher->torn_end = UINT64_MAX;
    watcher->index_secret = secret_of(store);
    const struct kv_changes_place place = {.offset = totals.applied,
                                           .follows = totals.follows,
                                           .last = totals.last,
                                           .last_sum = totals.last_sum};
    kv_changes_go_to(&watcher->changes, &place);
    return KVSTORE_OK;
}

/* Takes the place at the end of the store's log. */
static kvstore_status go_to_end(struct kvstore_watcher *watcher,
                                bool *is_exact_out)
{
    struct kvstore *store = NULL;
    kvstore_status status = begin_look(watcher, &store);
    if (status == KVSTORE_OK) {
        status = begin_at_end(watcher, store, is_exact_out);
        end_look(watcher, store);
    }
    return status;
}

/* Has the totals settled by the writers' lock. */
static kvstore_status settle_store(const struct kvstore_watcher *watcher)
{
    struct kvstore *store = kv_store_ref_enter(watcher->ref);
    if (store == NULL) {
        return fail_closed();
    }
    kvstore_status status = kv_store_settle(store);
    kv_store_ref_leave(watcher->ref);
    return status;
}

kvstore_status kv_watcher_begin(struct kvstore_watcher *watcher)
{
    bool is_exact = false;
    kvstore_status status = go_to_end(watcher, &is_exact);
    if (status == KVSTORE_OK && !is_exact) {
        status = settle_store(watcher);
        if (status == KVSTORE_OK) {
            status = go_to_end(watcher, &is_exact);
        }
    }
    if (status == KVSTORE_OK && !is_exact) {
        /* Only what was applied is certain. */
        struct kv_changes_place place;
        status = kv_changes_find(&watcher->log, watcher->end, &place);
        kv_changes_go_to(&watcher->changes, &place);
    }
    watcher->phase = WATCH_NEWS;
    return status;
}

/* Folds the log up to the end into an index that leads to the state there. */
static kvstore_status find_state(struct kvstore_watcher *watcher)
{
    const struct kv_changes_place start = {.offset = 0};
    struct kv_fold_range range = {.end = watcher->end};
    struct kv_fold_result result;
    kvstore_status status = kv_build_build_range(
        &watcher->log, range, NULL, &watcher->state, &result);
    if (status == KVSTORE_OK && !result.is_torn &&
        result.offset != watcher->end) {
        status = kv_fail_at(KVSTORE_CORRUPT,
                            result.offset,
                            "%s was changed under a running program",
                            KV_LOG_NAME);
    }
    if (status != KVSTORE_OK) {
        kv_index_release(&watcher->state);
        return status;
    }
    watcher->changes.state = &watcher->state;
    watcher->changes.expiry = (struct kv_expiry){.has_asked = false};
    kv_changes_go_to(&watcher->changes, &start);
    return KVSTORE_OK;
}

static void end_state(struct kvstore_watcher *watcher)
{
    watcher->changes.state = NULL;
    kv_index_release(&watcher->state);
    watcher->state = KV_INDEX_NONE;
}

/* Begins to tell the state of the store at this moment. */
static kvstore_status begin_with_state(struct kvstore_watcher *watcher)
{
    bool is_exact = false;
    end_state(watcher);
    kvstore_status status = go_to_end(watcher, &is_exact);
    if (status == KVSTORE_OK) {
        status = find_state(watcher);
    }
    watcher->phase = status == KVSTORE_OK ? WATCH_STATE : WATCH_RESET;
    return status;
}

/* --- The next change --- */

static bool can_read(const struct kvstore_watcher *watcher)
{
    return watcher->changes.place.offset < watcher->end &&
           watcher->end != watcher->torn_end;
}

/* Reads until something is noted, or to the end. */
static kvstore_status read_noted(struct kvstore_watcher *watcher)
{
    struct kv_changes *changes = &watcher->changes;
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK && !kv_changes_are_left(changes) &&
           can_read(watcher)) {
        status = kv_changes_read(changes, &watcher->log, watcher->end);
        if (status == KVSTORE_OK && !kv_changes_are_left(changes) &&
            changes->place.offset < watcher->end) {
            /* It was whole once: what comes next shows what it is. */
            watcher->torn_end = watcher->end;
        }
    }
    return status;
}

static void say_only(struct kvstore_watcher *watcher, int kind)
{
    watcher->change = (kvstore_change){.kind = kind};
}

/* KVSTORE_NOT_FOUND: all that this log has said so far has been told. */
static kvstore_status take_noted(struct kvstore_watcher *watcher)
{
    bool is_there = true;
    kvstore_status status = read_noted(watcher);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (!kv_changes_are_left(&watcher->changes)) {
        return KVSTORE_NOT_FOUND;
    }
    status = kv_changes_take(&watcher->changes,
                             &watcher->log,
                             &watcher->change,
                             &watcher->entry,
                             &is_there);
    if (status == KVSTORE_OK && !is_there) {
        lose_place(watcher);
    }
    return status;
}

/* Goes on to the log that has followed, if there is one. has_moved_out: there is
 * more to be looked at. */
static kvstore_status leave_log(struct kvstore_watcher *watcher,
                                bool *has_moved_out)
{
    *has_moved_out = watcher->next_log.file.fd >= 0;
    if (!*has_moved_out) {
        return KVSTORE_OK;
    }
    if (watcher->changes.place.offset != watcher->end) {
        lose_place(watcher); /* It cannot be read up to there. */
        return KVSTORE_OK;
    }
    return go_on_to_next_log(watcher);
}

/* KVSTORE_NOT_FOUND: nothing can be said without another look. */
static kvstore_status take_in_phase(struct kvstore_watcher *watcher,
                                    bool *has_moved_out)
{
    *has_moved_out = false;
    if (watcher->phase == WATCH_RESET) {
        kvstore_status status = begin_with_state(watcher);
        say_only(watcher, KVSTORE_CHANGE_RESET);
        return status;
    }
    kvstore_status status = take_noted(watcher);
    if (status == KVSTORE_NOT_FOUND && watcher->phase == WATCH_STATE) {
        end_state(watcher);
        watcher->phase = WATCH_NEWS;
        say_only(watcher, KVSTORE_CHANGE_CURRENT);
        return KVSTORE_OK;
    }
    if (status == KVSTORE_NOT_FOUND) {
        kvstore_status moved = leave_log(watcher, has_moved_out);
        status = moved == KVSTORE_OK ? status : moved;
    }
    return status;
}

/* A change that is not what it was leads to a reset at once. */
static kvstore_status take_next(struct kvstore_watcher *watcher,
                                bool *has_moved_out)
{
    enum watch_phase before = watcher->phase;
    kvstore_status status = take_in_phase(watcher, has_moved_out);
    if (watcher->phase == WATCH_RESET && before != WATCH_RESET &&
        (status == KVSTORE_OK || status == KVSTORE_NOT_FOUND)) {
        status = take_in_phase(watcher, has_moved_out);
    }
    return status;
}

kvstore_status kv_watcher_take(struct kvstore_watcher *watcher)
{
    if (!kv_store_ref_is_open(watcher->ref)) {
        return fail_closed();
    }
    bool has_moved = true;
    kvstore_status status = take_next(watcher, &has_moved);
    for (bool is_first = true;
         status == KVSTORE_NOT_FOUND && (is_first || has_moved);
         is_first = false) {
        status = look_once(watcher);
        if (status == KVSTORE_OK) {
            status = take_next(watcher, &has_moved);
        }
    }
    return status;
}
