/* SPDX-License-Identifier: MIT */

/* Is the index true to the log? Invariant 2 of compaction_copy.c. */

#include "store/compaction_check.h"

#include "os/error.h"
#include "store/compaction_marks.h"
#include "store/compaction_output.h"

static kvstore_status refuse_index(uint64_t offset)
{
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "the index does not belong to %s",
                      KV_LOG_NAME);
}

/* The index leads to a record. There must be none of its key in the new log yet:
 * else the index has led to one that is not the newest. */
static kvstore_status check_marked(struct kv_compaction *compaction,
                                   const struct kv_keydir_key *key,
                                   uint64_t offset)
{
    compaction->met +=
        kv_index_mix(&compaction->keydir->index, key->hash, offset);
    if (!kv_index_may_have(&compaction->new_keydir.index, key->hash)) {
        return KVSTORE_OK;
    }
    struct kv_keydir_find find;
    kvstore_status status = kv_compaction_flush(compaction);
    if (status == KVSTORE_OK) {
        status = kv_keydir_find(&compaction->new_keydir,
                                &compaction->new_log,
                                key->bytes,
                                key->size,
                                &find);
    }
    if (status == KVSTORE_OK) {
        status = find.is_found ? refuse_index(offset) : KVSTORE_OK;
        kv_keydir_find_release(&find);
    }
    return status;
}

/* The index does not lead to a record: then it leads on to a later one. */
static kvstore_status check_unmarked(const struct kv_compaction *compaction,
                                     const struct kv_keydir_key *key,
                                     uint64_t offset)
{
    enum kv_keydir_lead lead = KV_KEYDIR_LEADS_ASTRAY;
    kvstore_status status =
        kv_keydir_lead(compaction->keydir, compaction->log, key, offset, &lead);
    return status == KVSTORE_OK && lead != KV_KEYDIR_LEADS_ON
               ? refuse_index(offset)
               : status;
}

kvstore_status kv_compaction_check_record(struct kv_compaction *compaction,
                                          const struct kv_keydir_key *key,
                                          uint64_t offset,
                                          bool is_marked)
{
    return is_marked ? check_marked(compaction, key, offset)
                     : check_unmarked(compaction, key, offset);
}

kvstore_status kv_compaction_check_index(struct kv_compaction *compaction)
{
    return kv_compaction_marks_sum(compaction->marks) == compaction->met
               ? KVSTORE_OK
               : refuse_index(compaction->copied);
}
