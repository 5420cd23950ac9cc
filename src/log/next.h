/* SPDX-License-Identifier: MIT */

/* The next line of a log, decoded. Part of the fold, which judges it. */

#ifndef KV_LOG_NEXT_H
#define KV_LOG_NEXT_H

#include "kvstore.h"
#include "log/cursor.h"
#include "record/record.h"

/* kv_log_cursor_next() for a caller that wants the line decoded. The caller
 * releases the record on KVSTORE_OK. */
kvstore_status kv_log_next_record(struct kv_log_cursor *cursor,
                                  struct kv_log_view *view_out,
                                  struct kv_record *record_out);

#endif
