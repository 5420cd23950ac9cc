/* SPDX-License-Identifier: MIT */

/* Repair: a fold finds the damaged places; they are saved; what is between them
 * goes to a new log, and from that log a new index is built.
 *
 * Invariants:
 * 1. The old log is not touched. Until the rename it is the store; from the
 *    rename on the new one is, with the same records.
 * 2. The damaged bytes are on the disk, with their names, before the rename. So
 *    no byte of a log is ever dropped. A crash in between leaves them twice.
 * 3. All sound lines are kept, in order and byte for byte, stale ones too: with
 *    the damage gone, an older record may be the newest of its key.
 * 4. The new log is folded before it is believed: it must have no damage.
 *
 * A line that can be read holds no NUL and ends in its newline, so what is kept
 * on both sides of a place fits together. */

#include "store/repair.h"

#include "index/build.h"
#include "log/successor.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/system.h"

#include <string.h>

#define PLACES_MIN ((size_t)16)

/* --- Finding --- */

static kvstore_status make_place_room(struct kv_repair *repair)
{
    if (repair->count < repair->capacity) {
        return KVSTORE_OK;
    }
    size_t capacity = repair->capacity == 0 ? PLACES_MIN : repair->capacity * 2;
    struct kv_repair_place *places =
        kv_io_allocate(capacity * sizeof *repair->places);
    if (places == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    if (repair->count > 0) {
        memcpy(places, repair->places, repair->count * sizeof *places);
    }
    kv_io_free(repair->places);
    repair->places = places;
    repair->capacity = capacity;
    return KVSTORE_OK;
}

static kvstore_status add_damage(struct kv_repair *repair,
                                 uint64_t offset,
                                 uint64_t end)
{
    if (repair->count > 0 && repair->places[repair->count - 1].end == offset) {
        repair->places[repair->count - 1].end = end;
        return KVSTORE_OK;
    }
    kvstore_status status = make_place_room(repair);
    if (status == KVSTORE_OK) {
        repair->places[repair->count++] =
            (struct kv_repair_place){.offset = offset, .end = end};
    }
    return status;
}

static kvstore_status find_damage(void *context,
                                  const struct kv_fold_item *item)
{
    return item->type == KV_RECORD_DAMAGED
               ? add_damage(context,
                            item->pointer.offset,
                            item->pointer.offset + item->pointer.length)
               : KVSTORE_OK;
}

kvstore_status kv_repair_find(struct kv_repair *repair)
{
    struct kv_fold_range range = {.end = repair->end,
                                  .progress = repair->progress};
    struct kv_fold_result result;
    kvstore_status status =
        kv_fold(repair->log, range, find_damage, repair, &result);
    if (status != KVSTORE_OK) {
        return status;
    }
    repair->is_unterminated = result.is_unterminated;
    if (result.is_torn) {
        /* It was whole once, and has rotted since. */
        return add_damage(repair, result.offset, repair->end);
    }
    return result.offset == repair->end
               ? KVSTORE_OK
               : kv_fail_at(KVSTORE_CORRUPT,
                            result.offset,
                            "%s was changed under a running program",
                            KV_LOG_NAME);
}

/* --- Writing --- */

static kvstore_status save_places(struct kv_repair *repair)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; status == KVSTORE_OK && i < repair->count; i++) {
        struct kv_repair_place *place = &repair->places[i];
        char name[KV_CUT_NAME_SIZE];
        status = kv_mend_save(
            repair->log, repair->directory, place->offset, place->end, name);
        if (status == KVSTORE_OK) {
            memcpy(place->name, name, sizeof name);
        }
    }
    return status;
}

/* Copies what is before each place, and after the last one. */
static kvstore_status copy_between(const struct kv_repair *repair,
                                   const struct kv_log *new_log,
                                   uint64_t *size_out)
{
    const struct kv_io_file *from = &repair->log->file;
    uint64_t offset = 0;
    uint64_t size = 0;
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; status == KVSTORE_OK && i <= repair->count; i++) {
        bool is_last = i == repair->count;
        bool lacks_newline = is_last && repair->is_unterminated;
        uint64_t end = is_last ? repair->end : repair->places[i].offset;
        uint64_t file_end = lacks_newline ? end - 1 : end;
        status = kv_mend_copy(from, offset, file_end, &new_log->file, size);
        size += file_end - offset;
        offset = is_last ? end : repair->places[i].end;
        if (status == KVSTORE_OK && lacks_newline) {
            status = kv_io_write(&new_log->file, size, "\n", 1);
            size++;
        }
    }
    *size_out = size;
    return status;
}

/* Builds the index, and so checks that the new log is sound. Tabs at its end
 * are what was before damage, and not padding. */
static kvstore_status build_index(const struct kv_repair *repair,
                                  const struct kv_index *index,
                                  const struct kv_log *new_log,
                                  uint64_t size,
                                  struct kv_index *index_out)
{
    struct kv_fold_result result;
    struct kv_fold_range range = {.end = size, .progress = repair->progress};
    kv_error_hold();
    kvstore_status status = kv_build_build_range(
        new_log, range, index->directory, index_out, &result);
    if (status == KVSTORE_IO && kv_index_file_is_refused()) {
        status = kv_build_build_range(new_log, range, NULL, index_out, &result);
    }
    status = kv_error_release_after(status);
    if (status == KVSTORE_OK &&
        (result.is_torn || result.offset != size ||
         index_out->totals.counts.damaged_records > 0)) {
        kv_index_release(index_out);
        status = kv_fail_at(KVSTORE_IO,
                            result.offset,
                            "%s does not hold what was written",
                            KV_LOG_COMPACT_NAME);
    }
    if (status == KVSTORE_OK) {
        index_out->totals.compactions = index->totals.compactions;
    }
    return status;
}

kvstore_status kv_repair_write(struct kv_repair *repair,
                               const struct kv_index *index,
                               struct kv_log *log_out,
                               struct kv_index *index_out)
{
    uint64_t size = 0;
    *index_out = KV_INDEX_NONE;
    kvstore_status status =
        kv_successor_create(repair->directory, repair->log, log_out);
    if (status == KVSTORE_OK) {
        status = save_places(repair);
    }
    if (status == KVSTORE_OK) {
        status = copy_between(repair, log_out, &size);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_sync(&log_out->file);
    }
    if (status == KVSTORE_OK) {
        status = build_index(repair, index, log_out, size, index_out);
    }
    if (status != KVSTORE_OK) {
        kv_successor_discard(repair->directory, log_out);
        kv_repair_undo(repair);
    }
    return status;
}

void kv_repair_undo(struct kv_repair *repair)
{
    kv_error_hold();
    for (size_t i = 0; i < repair->count; i++) {
        struct kv_repair_place *place = &repair->places[i];
        if (place->name[0] != '\0') {
            (void)kv_io_unlink(repair->directory, place->name);
            place->name[0] = '\0';
        }
    }
    kv_error_release();
}

void kv_repair_release(struct kv_repair *repair)
{
    kv_io_free(repair->places);
    *repair = (struct kv_repair){.places = NULL};
}
