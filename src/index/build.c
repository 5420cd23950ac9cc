/* SPDX-License-Identifier: MIT */

/* Building is one fold of the log into an index. It changes no file. */

#include "index/build.h"

#include "index/ahead.h"
#include "index/grow.h"
#include "index/table.h"

#include <assert.h>

/* How many places of a log are looked at to tell how many lines it has. */
#define SAMPLE_COUNT 16u
#define SAMPLE_SIZE 4096u

/* A key takes some 16 bytes in an index, which begins with 16 MiB at most: a log
 * of holes looks as large as one of lines. */
#define LOG_BYTES_PER_KEY 128u
#define GUESS_MAX ((uint64_t)1 << 20)

/* --- Folding into an index --- */

static kvstore_status apply_item(void *context, const struct kv_fold_item *item)
{
    return kv_index_queue_apply(context, item);
}

static kvstore_status fold_into(const struct kv_log *log,
                                struct kv_fold_range range,
                                struct kv_index *index,
                                struct kv_fold_result *result_out)
{
    struct kv_index_queue queue;
    kv_index_queue_init(&queue, index, log);
    kvstore_status status = kv_fold(log, range, apply_item, &queue, result_out);
    return status == KVSTORE_OK ? kv_index_queue_flush(&queue) : status;
}

kvstore_status kv_build_catch_up(const struct kv_log *log,
                                 uint64_t size,
                                 const struct kv_progress *progress,
                                 struct kv_index *index,
                                 struct kv_fold_result *result_out)
{
    const struct kv_table_totals *totals = &index->totals;
    struct kv_fold_range range = {.offset = totals->applied,
                                  .end = size,
                                  .follows = totals->follows,
                                  .may_be_padded = true,
                                  .progress = progress};
    assert(totals->applied <= size);
    return fold_into(log, range, index, result_out);
}

/* A guess at how many keys a log holds, from how many newlines some places of it
 * have: as many as there are lines; but no more than fit an index of an eighth
 * of the log, since that must find its room, too, and no more than GUESS_MAX. An
 * index for fewer keys grows on the way, one for more is made smaller at the
 * end. */
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
    status = fold_into(log, range, &index, result_out);
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
