/* SPDX-License-Identifier: MIT */

/* The bounds that more than one module obeys. docs/format.md explains those
 * that concern the files. */

#ifndef KV_OS_BOUNDS_H
#define KV_OS_BOUNDS_H

#include "kvstore.h"

#include <stdint.h>

#define KV_KEY_SIZE_MAX ((size_t)KVSTORE_KEY_SIZE_MAX)
#define KV_VALUE_SIZE_MAX ((size_t)KVSTORE_VALUE_SIZE_MAX)

/* Longest line that can be a record, including its newline; a longer one is
 * damage. */
#define KV_LINE_SIZE_MAX ((size_t)INT32_MAX)

/* Longest line that we write with a value as text, including its newline. A
 * value whose escapes would make the line longer is written as base64, which is
 * 4/3 of its size: so only lines of other programs can reach the bound
 * above. */
#define KV_TEXT_LINE_SIZE_MAX (((size_t)1 << 31) - ((size_t)1 << 20))

/* Latest time of expiry, in milliseconds since the epoch: the largest whole
 * number that every program reads out of JSON as it was written. */
#define KV_EXPIRES_MS_MAX ((INT64_C(1) << 53) - 1)

/* Offsets fit in the 40 bits that a slot of the index has for them: 1 TiB. */
#define KV_OFFSET_MAX ((UINT64_C(1) << 40) - 1)

/* Deepest nesting that the JSON parser follows; deeper is damage. */
#define KV_JSON_DEPTH_MAX 1000u

/* Most members of a line of foreign layout, those of the outermost object and
 * of the objects in it together: each costs the parser much more memory than it
 * takes up in the line. A line with more is damage. */
#define KV_JSON_MEMBERS_MAX ((size_t)65536)

/* Stale bytes and share of the log that make a compaction due. */
#define KV_COMPACTION_THRESHOLD_DEFAULT ((uint64_t)KVSTORE_COMPACTION_THRESHOLD)
#define KV_COMPACTION_PERCENT_DEFAULT KVSTORE_COMPACTION_PERCENT

#define KV_LOCK_TIMEOUT_MS_DEFAULT 5000

#endif
