/* SPDX-License-Identifier: MIT */

/* Finds where an index leads for each record of a log, and so whether it is
 * true to the log. */

#include "index/lead.h"

#include "log/line.h"
#include "record/decode.h"
#include "record/text.h"

#include <stdatomic.h>

/* How much of a line is read at first: nearly every key is within it. */
#define SHORT_HEAD_SIZE 1024u

/* Finds out whether a line before leads->known_end is of the key: by its head,
 * if it begins as the canonical form does. The line is checked when its turn
 * comes. */
static kvstore_status judge_head(const struct kv_log *log,
                                 const struct kv_index_key *key,
                                 uint64_t offset,
                                 uint64_t end,
                                 enum kv_index_lead *lead_out)
{
    struct kv_log_line line;
    struct kv_record record;
    uint64_t head_end = offset + SHORT_HEAD_SIZE;
    kvstore_status status =
        kv_log_read_line(log, offset, head_end < end ? head_end : end, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    kv_record_tell_key(line.bytes, line.size, &record);
    *lead_out = !record.has_key ? KV_INDEX_LEADS_TO_ROT
                : kv_text_equals(&record.key, key->bytes, key->size)
                    ? KV_INDEX_LEADS_ON
                    : KV_INDEX_LEADS_ASTRAY;
    kv_log_line_release(&line);
    return KVSTORE_OK;
}

static kvstore_status judge_whole(const struct kv_log *log,
                                  const struct kv_index_key *key,
                                  uint64_t offset,
                                  uint64_t end,
                                  enum kv_index_lead *lead_out)
{
    struct kv_log_line line;
    struct kv_record record;
    kvstore_status status = kv_log_read_line(log, offset, end, &line);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_record_decode(line.bytes, line.size, &record);
    if (status == KVSTORE_OK) {
        bool is_sound = kv_record_is_record(&record);
        bool is_of_key =
            is_sound && kv_text_equals(&record.key, key->bytes, key->size);
        *lead_out = !is_sound   ? KV_INDEX_LEADS_TO_ROT
                    : is_of_key ? KV_INDEX_LEADS_ON
                                : KV_INDEX_LEADS_ASTRAY;
        kv_record_release(&record);
    }
    kv_log_line_release(&line);
    return status;
}

/* Judges what a line after the record says of the key. LEADS_ASTRAY: nothing,
 * since it is a sound one of another key. A line may be large, and the newest
 * of many records: the last verdict on a whole one is kept. */
static kvstore_status judge_later_line(const struct kv_log *log,
                                       const struct kv_index_key *key,
                                       struct kv_index_leads *leads,
                                       uint64_t offset,
                                       uint64_t end)
{
    kvstore_status status = KVSTORE_OK;
    leads->lead = KV_INDEX_LEADS_TO_ROT;
    if (offset < leads->known_end) {
        status = judge_head(log, key, offset, end, &leads->lead);
    }
    if (status != KVSTORE_OK || leads->lead != KV_INDEX_LEADS_TO_ROT) {
        return status;
    }
    if (leads->whole_offset == offset && leads->whole_hash == key->hash) {
        leads->lead = leads->whole_lead;
        return KVSTORE_OK;
    }
    status = judge_whole(log, key, offset, end, &leads->lead);
    if (status == KVSTORE_OK) {
        leads->whole_offset = offset;
        leads->whole_hash = key->hash;
        leads->whole_lead = leads->lead;
    }
    return status;
}

kvstore_status kv_index_lead(const struct kv_index *index,
                             const struct kv_log *log,
                             const struct kv_index_key *key,
                             uint64_t offset,
                             struct kv_index_leads *leads)
{
    const struct kv_table *table = &index->table;
    struct kv_table_probe probe = kv_table_probe_start(table, key->hash);
    struct kv_table_entry entry;
    bool meets_rot = false;
    kvstore_status status = KVSTORE_OK;
    leads->lead = KV_INDEX_LEADS_ASTRAY;
    while (status == KVSTORE_OK && leads->lead == KV_INDEX_LEADS_ASTRAY &&
           kv_table_probe_next(table, &probe, &entry)) {
        uint64_t end =
            atomic_load_explicit(&table->header->end, memory_order_acquire);
        if (!entry.is_flagged && entry.offset == offset) {
            leads->lead = KV_INDEX_LEADS_HERE;
        } else if (!entry.is_flagged && entry.offset > offset &&
                   entry.offset < end) {
            status = judge_later_line(log, key, leads, entry.offset, end);
        }
        if (leads->lead == KV_INDEX_LEADS_TO_ROT) {
            meets_rot = true;
            leads->lead = KV_INDEX_LEADS_ASTRAY;
        }
    }
    if (meets_rot && leads->lead == KV_INDEX_LEADS_ASTRAY) {
        leads->lead = KV_INDEX_LEADS_TO_ROT;
    }
    return status;
}
