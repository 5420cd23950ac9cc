/* SPDX-License-Identifier: MIT */

/* Where a line is in the log. */

#ifndef KV_LOG_POINTER_H
#define KV_LOG_POINTER_H

#include <stdint.h>

struct kv_log_pointer {
    uint64_t offset; /* Of the line's first byte. */
    uint64_t length; /* Bytes of the line, its newline counted. */
};

#endif
