/* SPDX-License-Identifier: MIT */

/* Whether a store takes writes: not if its log may be another store's, too, nor
 * if a newer version has written there. */

#include "store/writable.h"

#include "log/line.h"
#include "os/error.h"
#include "record/decode.h"
#include "record/record.h"

#include <inttypes.h>

/* A log with more than one name is the log of more than one directory, and each
 * has a writers' lock of its own. */
static kvstore_status check_single_name(const struct kvstore *store)
{
    uint64_t names = atomic_load(&store->log_names);
    return names <= 1
               ? KVSTORE_OK
               : kv_fail(KVSTORE_IO,
                         "%s has %" PRIu64
                         " names (hard links), so it may be another store's, "
                         "too, and takes no writes; give this store its own "
                         "by, in its directory: cp -a %s copy && mv copy %s",
                         KV_LOG_NAME,
                         names,
                         KV_LOG_NAME,
                         KV_LOG_NAME);
}

static kvstore_status refuse_newer(uint64_t offset,
                                   const struct kv_log_line *line)
{
    char variant[32] = "";
    kv_record_name_variant(line->bytes, line->size, variant, sizeof variant);
    return kv_fail_at(KVSTORE_UNSUPPORTED,
                      offset,
                      "%s was written by a newer version, which made the "
                      "record%s%s at offset %" PRIu64 ": it can only be read",
                      KV_LOG_NAME,
                      variant[0] == '\0' ? "" : " ",
                      variant,
                      offset);
}

/* Refuses if the first record that the index has of a newer version is one. */
static kvstore_status check_first_newer(const struct kvstore *store)
{
    uint64_t offset = store->index.totals.counts.unknown_offset;
    struct kv_log_line line;
    struct kv_record record;
    kvstore_status status = kv_log_read_line(
        &store->log, offset, store->index.totals.applied, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_record_decode(line.bytes, line.size, &record);
    if (status == KVSTORE_OK) {
        if (record.type == KV_RECORD_UNKNOWN) {
            status = refuse_newer(offset, &line);
        }
        kv_record_release(&record);
    }
    kv_log_line_release(&line);
    return status;
}

static bool has_newer_records(const struct kvstore *store)
{
    return store->index.totals.counts.unknown_records > 0;
}

kvstore_status kv_store_check_writable(struct kvstore *store,
                                       enum kv_store_alone alone,
                                       bool *is_whole)
{
    kvstore_status status = check_single_name(store);
    if (status == KVSTORE_OK && has_newer_records(store)) {
        status = check_first_newer(store);
    }
    if (status == KVSTORE_OK && has_newer_records(store)) {
        /* The index lies. */
        *is_whole = false;
        status = kv_store_rebuild_locked(store, alone);
        if (status == KVSTORE_OK && has_newer_records(store)) {
            status = check_first_newer(store);
        }
    }
    return status;
}
