/* SPDX-License-Identifier: MIT */

/* Building is one fold of the log into an index. It changes no file. */

#include "index/build.h"

#include "index/apply.h"
#include "index/grow.h"
#include "index/parts.h"
#include "index/table.h"
#include "os/error.h"
#include "record/expiry.h"

#include <assert.h>

/* How many places of a log are sampled to guess how many lines it has. */
#define SAMPLE_COUNT 16u
#define SAMPLE_SIZE 4096u

/* A key takes some 24 bytes in an index, which begins with at most 16 MiB: a
 * log of holes looks as large as one of lines. */
#define LOG_BYTES_PER_KEY 128u
#define GUESS_MAX UINT64_C(690000)

/* No line that names a key is shorter: {"Set":{"key":"k", */
#define KEYED_LINE_SIZE_MIN 16u

/* --- Folding into an index --- */

struct folding {
    struct kv_index *index;
    const struct kv_log *log;
    struct kv_parts *parts; /* Slots on their way; NULL: each is put at once,
                               as readers of an index in use need it. */
    bool stops_at_damage;
    bool meets_damage;
    struct kv_expiry expiry;
    uint64_t expired_bytes; /* Of Sets, newest or not. */
};

static kvstore_status put_now(void *context, struct kv_table_slot slot)
{
    const struct folding *folding = context;
    bool is_new = false;
    return kv_index_put_slot(folding->index, folding->log, slot, &is_new);
}

static kvstore_status apply_item(void *context, const struct kv_fold_item *item)
{
    struct folding *folding = context;
    struct kv_table_slot slot;
    if (folding->stops_at_damage && item->type == KV_RECORD_DAMAGED) {
        folding->meets_damage = true;
        return KVSTORE_OK;
    }
    if (item->type == KV_RECORD_SET &&
        kv_expiry_has_come(&folding->expiry, item->record->expires_ms)) {
        folding->expired_bytes += item->pointer.length;
    }
    kvstore_status status = kv_index_count_line(folding->index, item);
    if (status != KVSTORE_OK || !kv_index_is_indexed(item)) {
        return status;
    }
    status = kv_index_make_slot(&folding->index->table, item, &slot);
    if (status != KVSTORE_OK) {
        return status;
    }
    return folding->parts != NULL ? kv_parts_put(folding->parts, slot)
                                  : put_now(folding, slot);
}

/* Folds a range into the index. What was read before damage is applied. After a
 * failure the index is good for nothing. */
static kvstore_status fold_into(struct folding *folding,
                                struct kv_fold_range range,
                                struct kv_fold_result *result_out)
{
    const struct kv_index *index = folding->index;
    kvstore_status status = KVSTORE_OK;
    range.is_over = &folding->meets_damage;
    if (!index->is_in_use) {
        status =
            kv_parts_create(&index->table, put_now, folding, &folding->parts);
    }
    if (status == KVSTORE_OK) {
        status = kv_fold(folding->log, range, apply_item, folding, result_out);
    }
    if (status == KVSTORE_OK && folding->parts != NULL) {
        status = kv_parts_empty(folding->parts);
    }
    kv_parts_free(folding->parts);
    return status;
}

/* Notes how much of the log a compaction would keep. The records that have
 * expired are counted whether or not they are the newest of their keys: so this
 * may be too little, and a compaction come too early, which notes it exactly. */
static void note_kept(const struct folding *folding,
                      const struct kv_index *index)
{
    const struct kv_table_totals *totals = &index->totals;
    uint64_t kept = totals->applied - totals->counts.stale_bytes;
    uint64_t expired =
        totals->counts.damaged_records > 0 ? 0 : folding->expired_bytes;
    atomic_store(&index->table.header->kept,
                 kept > expired ? kept - expired : 0);
}

static struct kv_fold_range rest_of(const struct kv_index *index, uint64_t size)
{
    assert(index->totals.applied <= size);
    return (struct kv_fold_range){.offset = index->totals.applied,
                                  .end = size,
                                  .follows = index->totals.follows,
                                  .may_be_padded = true};
}

static kvstore_status count_key(void *context, const struct kv_fold_item *item)
{
    uint64_t *count = context;
    *count += kv_index_is_indexed(item) ? 1 : 0;
    return KVSTORE_OK;
}

kvstore_status kv_build_count_more(const struct kv_log *log,
                                   uint64_t size,
                                   const struct kv_index *index,
                                   uint64_t *more_keys_out)
{
    struct kv_fold_result result;
    uint64_t most = (size - index->totals.applied + 1) / KEYED_LINE_SIZE_MIN;
    *more_keys_out = most;
    if (kv_index_has_room(index, most)) {
        return KVSTORE_OK;
    }
    *more_keys_out = 0;
    return kv_fold(
        log, rest_of(index, size), count_key, more_keys_out, &result);
}

static kvstore_status meet_line(void *context, const struct kv_fold_item *item)
{
    bool *has_lines = context;
    *has_lines = item->type != KV_RECORD_BLANK;
    return KVSTORE_OK;
}

kvstore_status kv_build_has_lines(const struct kv_log *log,
                                  uint64_t size,
                                  const struct kv_index *index,
                                  bool *has_lines_out)
{
    struct kv_fold_result result;
    *has_lines_out = false;
    if (size <= index->totals.applied) {
        return KVSTORE_OK;
    }
    struct kv_fold_range range = rest_of(index, size);
    range.is_over = has_lines_out;
    return kv_fold(log, range, meet_line, has_lines_out, &result);
}

kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 bool stops_at_damage,
                                 struct kv_index *index,
                                 bool *is_whole_out)
{
    struct kv_fold_result result;
    struct kv_fold_range range = rest_of(index, size);
    range.progress = progress;
    struct folding folding = {
        .index = index, .log = log, .stops_at_damage = stops_at_damage};
    kv_index_begin_publishing(index, size + 1);
    kvstore_status status = fold_into(&folding, range, &result);
    *is_whole_out = !folding.meets_damage;
    if (status != KVSTORE_OK) {
        index->is_in_doubt = true;
        return status;
    }
    kv_index_end_publishing(index, false);
    return KVSTORE_OK;
}

/* Guesses how many keys a log holds, from how many newlines some places of it
 * have: one for each line; but no more than fit an index of a fifth of the
 * log, since that must find room, too, and no more than GUESS_MAX. An index for
 * fewer keys grows on the way, one for more is made smaller at the end. */
static kvstore_status guess_keys(const struct kv_log *log,
                                 uint64_t size,
                                 uint64_t *key_count_out)
{
    uint64_t newlines = 0;
    uint64_t looked_at = 0;
    for (uint64_t i = 0; i < SAMPLE_COUNT; i++) {
        char bytes[SAMPLE_SIZE];
        size_t part = 0;
        kvstore_status status = kv_io_read(
            &log->file, size / SAMPLE_COUNT * i, bytes, sizeof bytes, &part);
        if (status != KVSTORE_OK) {
            return status;
        }
        for (size_t j = 0; j < part; j++) {
            newlines += bytes[j] == '\n' ? 1 : 0;
        }
        looked_at += part;
    }
    uint64_t lines = looked_at == 0 ? 0 : size / looked_at * newlines;
    uint64_t most = size / LOG_BYTES_PER_KEY;
    most = most < GUESS_MAX ? most : GUESS_MAX;
    *key_count_out = lines < most ? lines : most;
    return KVSTORE_OK;
}

kvstore_status kv_build_build_range(const struct kv_log *log,
                                    struct kv_fold_range range,
                                    const struct kv_io_file *directory,
                                    struct kv_index *index_out,
                                    struct kv_fold_result *result_out)
{
    *index_out = KV_INDEX_NONE;
    struct kv_index index;
    uint64_t key_count = 0;
    assert(range.offset == 0 && range.follows == 0);
    kvstore_status status = guess_keys(log, range.end, &key_count);
    if (status == KVSTORE_OK) {
        status = kv_index_create(key_count, directory, log, &index);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    struct folding folding = {.index = &index, .log = log};
    status = fold_into(&folding, range, result_out);
    if (status == KVSTORE_OK && index.is_in_doubt) {
        status = kv_fail(KVSTORE_IO,
                         "%s cannot be read, or was changed under a running "
                         "program",
                         KV_LOG_NAME);
    }
    if (status != KVSTORE_OK) {
        kv_index_release(&index);
        return status;
    }
    kv_index_shrink(&index, log);
    note_kept(&folding, &index);
    *index_out = index;
    return KVSTORE_OK;
}

kvstore_status kv_build_index(const struct kv_log *log,
                              uint64_t size,
                              const struct kv_progress *progress,
                              const struct kv_io_file *directory,
                              struct kv_index *index_out,
                              struct kv_fold_result *result_out)
{
    struct kv_fold_range range = {
        .end = size, .may_be_padded = true, .progress = progress};
    return kv_build_build_range(log, range, directory, index_out, result_out);
}
