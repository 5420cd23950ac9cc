/* SPDX-License-Identifier: MIT */

/* A place is found again by the last line before it, as the end of an index's
 * log is. */

#include "store/changes_place.h"

#include "index/index.h"

void kv_changes_pass(struct kv_changes_place *place,
                     const struct kv_fold_item *item)
{
    if (item->bytes != NULL) {
        place->last = item->pointer;
        place->last_sum = kv_index_item_sum(item);
    }
}

static kvstore_status pass_line(void *context, const struct kv_fold_item *item)
{
    kv_changes_pass(context, item);
    return KVSTORE_OK;
}

kvstore_status kv_changes_find(const struct kv_log *log,
                               uint64_t end,
                               struct kv_changes_place *place_out)
{
    struct kv_fold_range range = {.end = end};
    struct kv_fold_result result;
    *place_out = (struct kv_changes_place){.offset = 0};
    kvstore_status status = kv_fold(log, range, pass_line, place_out, &result);
    place_out->offset = result.offset;
    place_out->follows = result.follows;
    return status;
}

kvstore_status kv_changes_match(const struct kv_changes_place *place,
                                const struct kv_log *log,
                                bool *matches_out)
{
    struct kv_index mark = KV_INDEX_NONE;
    mark.totals.last = place->last;
    mark.totals.last_sum = place->last_sum;
    return kv_index_matches(&mark, log, matches_out);
}
