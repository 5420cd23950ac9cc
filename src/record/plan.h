/* SPDX-License-Identifier: MIT */

/* The canonical line of a record: planned, and laid out. */

#ifndef KV_RECORD_PLAN_H
#define KV_RECORD_PLAN_H

#include "record/record.h"

#include <stddef.h>
#include <stdint.h>

/* Plans the canonical line of a Set or a Remove. Key and value are borrowed.
 * The value is within its bounds; so is the key, unless it is that of a record
 * that is already in the log. */
struct kv_record_plan kv_record_plan_set(const void *key,
                                         size_t key_size,
                                         const void *value,
                                         size_t value_size);
struct kv_record_plan kv_record_plan_remove(const void *key, size_t key_size);

/* Adds the members that few lines have: when a Set expires, up to
 * KV_EXPIRES_MS_MAX, and the place in a batch; each may be 0. Changes
 * plan->line_size. */
void kv_record_plan_add(struct kv_record_plan *plan,
                        int64_t expires_ms,
                        uint32_t batch);

/* Lays out the planned line, including sum and newline: plan->line_size
 * bytes. */
void kv_record_encode(const struct kv_record_plan *plan, char *line_out);

#endif
