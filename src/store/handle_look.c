/* SPDX-License-Identifier: MIT */

/* A look at the whole of a store: descriptors and a mapping of its own, of the
 * files that the view has. Both files may lose their names meanwhile; what
 * stands in the log up to the end does not change, and slots of the index only
 * go on to newer records. */

#include "store/handle_look.h"

#include "index/index_file.h"

#include <stdatomic.h>

/* Within a read. */
static kvstore_status share_view(struct kvstore *store,
                                 bool wants_index,
                                 struct kv_handle_look *look)
{
    const struct kv_keydir *keydir = &store->keydir;
    struct kv_index_totals totals;
    /* Not the index's end, which a writer moves before the slots. */
    kvstore_status status = kv_handle_totals(store, &totals);
    if (status != KVSTORE_OK) {
        return status;
    }
    look->end = totals.applied;
    look->log.device = store->log.device;
    look->log.inode = store->log.inode;
    status = kv_handle_ensure_synced(store, look->end);
    if (status == KVSTORE_OK) {
        status = kv_io_duplicate(&store->log.file, &look->log.file);
    }
    if (status == KVSTORE_OK && wants_index && keydir->is_live) {
        status = kv_index_file_share(
            &keydir->memory, &look->keydir.memory, &look->keydir.index);
        look->has_index = status == KVSTORE_OK;
    }
    return status;
}

kvstore_status kv_handle_open_look(struct kvstore *store,
                                   bool wants_index,
                                   struct kv_handle_look *look_out)
{
    *look_out =
        (struct kv_handle_look){.log = KV_LOG_NONE, .keydir = KV_KEYDIR_NONE};
    kvstore_status status = kv_handle_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = share_view(store, wants_index, look_out);
    kv_handle_end_read(store);
    if (status != KVSTORE_OK) {
        kv_handle_close_look(look_out);
    }
    return status;
}

kvstore_status kv_handle_look_within(struct kvstore *store,
                                     struct kv_handle_look *look_out)
{
    *look_out =
        (struct kv_handle_look){.log = KV_LOG_NONE, .keydir = KV_KEYDIR_NONE};
    kvstore_status status = share_view(store, true, look_out);
    if (status != KVSTORE_OK) {
        kv_handle_close_look(look_out);
        return status;
    }
    kv_log_map(&look_out->log);
    look_out->keydir.directory = &store->directory;
    look_out->keydir.totals = store->keydir.totals;
    return KVSTORE_OK;
}

void kv_handle_close_look(struct kv_handle_look *look)
{
    kv_keydir_release(&look->keydir);
    kv_log_close(&look->log);
}
