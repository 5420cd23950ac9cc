/* SPDX-License-Identifier: MIT */

/* The next line of a log, decoded. Part of the fold, which judges it. */

#ifndef KV_LOG_NEXT_H
#define KV_LOG_NEXT_H

#include "kvstore.h"
#include "log/cursor.h"
#include "record/decode.h"
#include "record/record.h"

#include <stddef.h>

/* The same as kv_log_next_record(), for any line. */
kvstore_status kv_log_next_other(struct kv_log_cursor *cursor,
                                 struct kv_log_view *view_out,
                                 struct kv_record *record_out);

/* kv_log_cursor_next() for a caller that wants the line decoded. Most lines are
 * sound and canonical: the decoder finds the end of these, so no search for it
 * is needed. The caller releases the record on KVSTORE_OK. */
static inline kvstore_status kv_log_next_record(struct kv_log_cursor *cursor,
                                                struct kv_log_view *view_out,
                                                struct kv_record *record_out)
{
    size_t count = 0;
    const char *bytes = kv_log_cursor_peek(cursor, &count);
    size_t length = kv_record_decode_ahead(bytes, count, record_out);
    if (length == 0) {
        return kv_log_next_other(cursor, view_out, record_out);
    }
    kv_log_cursor_take(cursor, length, view_out);
    return KVSTORE_OK;
}

#endif
