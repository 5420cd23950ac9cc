/* SPDX-License-Identifier: MIT */

/* Where an index leads for each record of a log: for callers that check whether
 * it is true to the log. */

#ifndef KV_INDEX_LEAD_H
#define KV_INDEX_LEAD_H

#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"

#include <stdint.h>

/* Where the index leads for a record that the log holds. */
enum kv_index_lead {
    KV_INDEX_LEADS_HERE,   /* To this record: it is the newest. */
    KV_INDEX_LEADS_ON,     /* To a later one of its key. */
    KV_INDEX_LEADS_TO_ROT, /* Perhaps to a line that is damaged by now. */
    KV_INDEX_LEADS_ASTRAY  /* Nowhere, or to an older one: the index lies. */
};

/* What a pass over a log finds out in this way, one record after another. */
struct kv_index_leads {
    uint64_t known_end;      /* Lines before this are checked by the pass
                                itself: here only their keys count. */
    enum kv_index_lead lead; /* Out. */
    uint64_t whole_offset;   /* The last line that had to be read as a whole,
                                for a key of this hash. None: 0. */
    uint64_t whole_hash;
    enum kv_index_lead whole_lead;
};

/* Finds where the index leads for a sound record of a key at an offset. Takes
 * no lock, and is right while others write, too. */
kvstore_status kv_index_lead(const struct kv_index *index,
                             const struct kv_log *log,
                             const struct kv_index_key *key,
                             uint64_t offset,
                             struct kv_index_leads *leads);

#endif
