/* SPDX-License-Identifier: MIT */

/* Reads on in a log, line by line, and decodes what is there. */

#include "log/next.h"

#include "record/decode.h"

/* Decodes the line under a cursor. */
static kvstore_status decode(const struct kv_log_view *view,
                             struct kv_record *record_out)
{
    if (!view->is_cut) {
        return kv_record_decode(view->bytes, view->size, record_out);
    }
    kv_record_tell_key(view->bytes, view->size, record_out);
    if (view->is_blank) {
        *record_out = (struct kv_record){.type = KV_RECORD_BLANK};
    }
    return KVSTORE_OK;
}

kvstore_status kv_log_next_other(struct kv_log_cursor *cursor,
                                 struct kv_log_view *view_out,
                                 struct kv_record *record_out)
{
    kvstore_status status = kv_log_cursor_next(cursor, view_out);
    return status == KVSTORE_OK ? decode(view_out, record_out) : status;
}
