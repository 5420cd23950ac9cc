/* SPDX-License-Identifier: MIT */

/* The time that one answer is based on: the system's clock, read once per call,
 * and only when a record that may expire is met. The fold never reads it. */

#ifndef KV_RECORD_EXPIRY_H
#define KV_RECORD_EXPIRY_H

#include "record/record.h"

#include <stdbool.h>
#include <stdint.h>

/* Each call has its own, which is empty ({0}) when the call begins. */
struct kv_expiry {
    bool has_asked;
    int64_t now_ms; /* Since the epoch. */
};

/* True if a time of expiry has come; 0 never does. */
bool kv_expiry_has_come(struct kv_expiry *expiry, int64_t expires_ms);

/* True if the line gives its key a value now: a Set that has not expired. */
bool kv_expiry_is_live(struct kv_expiry *expiry,
                       const struct kv_record *record);

#endif
