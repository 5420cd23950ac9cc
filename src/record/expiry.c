/* SPDX-License-Identifier: MIT */

/* Decides what has expired. */

#include "record/expiry.h"

#include "os/system.h"

#include <assert.h>

bool kv_expiry_has_come(struct kv_expiry *expiry, int64_t expires_ms)
{
    assert(expiry != NULL && expires_ms >= 0);
    if (expires_ms == 0) {
        return false;
    }
    if (!expiry->has_asked) {
        expiry->has_asked = true;
        expiry->now_ms = kv_io_clock_real_ms();
    }
    return expires_ms <= expiry->now_ms;
}

bool kv_expiry_is_live(struct kv_expiry *expiry, const struct kv_record *record)
{
    return record->type == KV_RECORD_SET &&
           !kv_expiry_has_come(expiry, record->expires_ms);
}
