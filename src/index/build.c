/* SPDX-License-Identifier: MIT */

/* Building is one fold of the log into an index. It changes no file. */

#include "index/build.h"

#include "index/ahead.h"
#include "index/grow.h"
#include "index/table.h"

#include <assert.h>

/* How many places of a log are sampled to guess how many lines it has. */
#define SAMPLE_COUNT 16u
#define SAMPLE_SIZE 4096u

/* A key takes some 16 bytes in an index, which begins with at most 16 MiB: a
 * log of holes looks as large as one of lines. */
#define LOG_BYTES_PER_KEY 128u
#define GUESS_MAX ((uint64_t)1 << 20)

/* --- Folding into an index --- */

struct folding {
    struct kv_index_queue queue;
    bool stops_at_damage;
    bool meets_damage;
    bool is_over;
};

static kvstore_status apply_item(void *context, const struct kv_fold_item *item)
{
    struct folding *folding = context;
    kvstore_status status = KVSTORE_OK;
    if (folding->stops_at_damage && item->type == KV_RECORD_DAMAGED) {
        folding->meets_damage = true;
    } else {
        status = kv_index_queue_apply(&folding->queue, item);
    }
    folding->is_over = folding->meets_damage || folding->queue.lacks_room;
    return status;
}

/* Folds a range into an index. What was read before damage is applied; the last
 * of it may still find no room. */
static kvstore_status fold_into(const struct kv_log *log,
                                struct kv_fold_range range,
                                bool stops_at_damage,
                                struct kv_index *index,
                                struct kv_fold_result *result_out,
                                enum kv_catch_up *outcome_out)
{
    struct folding folding = {.stops_at_damage = stops_at_damage};
    kv_index_queue_init(&folding.queue, index, log);
    range.is_over = &folding.is_over;
    kvstore_status status =
        kv_fold(log, range, apply_item, &folding, result_out);
    if (status == KVSTORE_OK) {
        status = kv_index_queue_flush(&folding.queue);
    }
    *outcome_out = folding.queue.lacks_room ? KV_CATCH_UP_LACKS_ROOM
                   : folding.meets_damage   ? KV_CATCH_UP_MEETS_DAMAGE
                                            : KV_CATCH_UP_WHOLE;
    return status;
}

kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 bool stops_at_damage,
                                 struct kv_index *index,
                                 enum kv_catch_up *outcome_out)
{
    struct kv_fold_result result;
    const struct kv_table_totals *totals = &index->totals;
    struct kv_fold_range range = {.offset = totals->applied,
                                  .end = size,
                                  .follows = totals->follows,
                                  .may_be_padded = true,
                                  .progress = progress};
    assert(totals->applied <= size);
    return fold_into(log, range, stops_at_damage, index, &result, outcome_out);
}

/* Guesses how many keys a log holds, from how many newlines some places of it
 * have: one for each line; but no more than fit an index of an eighth of the
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
    enum kv_catch_up outcome = KV_CATCH_UP_WHOLE;
    status = fold_into(log, range, false, &index, result_out, &outcome);
    if (status != KVSTORE_OK) {
        kv_index_release(&index);
        return status;
    }
    kv_index_shrink(&index, log);
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
