/* SPDX-License-Identifier: MIT */

/* Checks the index against the log: invariant 2 of compaction_copy.c. */

#include "store/compaction_check.h"

#include "index/table.h"
#include "log/log.h"
#include "os/error.h"
#include "store/compaction_marks.h"

static kvstore_status refuse_index(uint64_t offset)
{
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "the index does not belong to %s",
                      KV_LOG_NAME);
}

/* The index leads to a record. There must be none of its key in the new log
 * yet: else the index has led to one that is not the newest. */
static kvstore_status check_marked(struct kv_compaction *compaction,
                                   const struct kv_index_key *key,
                                   uint64_t offset)
{
    compaction->met +=
        kv_table_mix(&compaction->index->table, key->hash, offset);
    if (!kv_table_may_have(&compaction->new_index.table, key->hash)) {
        return KVSTORE_OK;
    }
    struct kv_index_find find;
    kvstore_status status = kv_compaction_flush(compaction);
    if (status == KVSTORE_OK) {
        status = kv_index_find(&compaction->new_index,
                               &compaction->new_log,
                               key->bytes,
                               key->size,
                               &find);
    }
    if (status == KVSTORE_OK) {
        status = find.is_found ? refuse_index(offset) : KVSTORE_OK;
        kv_index_find_release(&find);
    }
    return status;
}

/* The index does not lead to a record: then it must lead on to a later one. */
static kvstore_status check_unmarked(struct kv_compaction *compaction,
                                     const struct kv_index_key *key,
                                     uint64_t offset)
{
    struct kv_index_leads *leads = &compaction->leads;
    leads->known_end = compaction->index->totals.applied;
    kvstore_status status =
        kv_index_lead(compaction->index, compaction->log, key, offset, leads);
    return status == KVSTORE_OK && leads->lead != KV_INDEX_LEADS_ON
               ? refuse_index(offset)
               : status;
}

kvstore_status kv_compaction_check_record(struct kv_compaction *compaction,
                                          const struct kv_index_key *key,
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
