/* SPDX-License-Identifier: MIT */

/* A snapshot of a whole store: descriptors and a mapping of its own, of the
 * files that the pair has. Both files may lose their names meanwhile; what is
 * in the log up to the end does not change, and slots of the index only move on
 * to newer records. */

#include "store/snapshot.h"

#include "index/file.h"
#include "index/table.h"
#include "os/file.h"
#include "store/handle.h"
#include "store/sync.h"

/* Within a read. */
static kvstore_status share_pair(struct kvstore *store,
                                 bool wants_index,
                                 struct kv_snapshot *snapshot)
{
    const struct kv_index *index = &store->index;
    /* Not the index's end, which a writer moves before the slots. */
    const struct kv_table_totals totals = kv_table_peek_totals(&index->table);
    snapshot->end = totals.applied;
    snapshot->key_count = totals.counts.keys;
    snapshot->log.device = store->log.device;
    snapshot->log.inode = store->log.inode;
    snapshot->may_map = store->log.map != NULL;
    kvstore_status status = kv_store_ensure_synced(store, snapshot->end);
    if (status == KVSTORE_OK) {
        status = kv_io_duplicate(&store->log.file, &snapshot->log.file);
    }
    if (status == KVSTORE_OK && wants_index && index->is_shared) {
        status = kv_index_file_share(
            &index->memory, &snapshot->index.memory, &snapshot->index.table);
        snapshot->has_index = status == KVSTORE_OK;
    }
    return status;
}

kvstore_status kv_store_open_snapshot(struct kvstore *store,
                                      bool wants_index,
                                      struct kv_snapshot *snapshot_out)
{
    *snapshot_out =
        (struct kv_snapshot){.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = share_pair(store, wants_index, snapshot_out);
    kv_store_end_read(store);
    if (status != KVSTORE_OK) {
        kv_snapshot_close(snapshot_out);
    }
    return status;
}

kvstore_status kv_store_open_snapshot_within(struct kvstore *store,
                                             struct kv_snapshot *snapshot_out)
{
    *snapshot_out =
        (struct kv_snapshot){.log = KV_LOG_NONE, .index = KV_INDEX_NONE};
    kvstore_status status = share_pair(store, true, snapshot_out);
    if (status != KVSTORE_OK) {
        kv_snapshot_close(snapshot_out);
        return status;
    }
    kv_log_map(&snapshot_out->log);
    snapshot_out->index.directory = &store->directory;
    snapshot_out->index.totals = store->index.totals;
    return KVSTORE_OK;
}

void kv_snapshot_close(struct kv_snapshot *snapshot)
{
    kv_index_release(&snapshot->index);
    kv_log_close(&snapshot->log);
}
