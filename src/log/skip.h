/* SPDX-License-Identifier: MIT */

/* Passes over lines that a fold for keys with one prefix need not judge, by the
 * bytes after each newline. Decodes nothing. Part of the fold. */

#ifndef KV_LOG_SKIP_H
#define KV_LOG_SKIP_H

#include <stddef.h>

/* Only keys that begin with this are wanted. */
struct kv_log_skip {
    const char *prefix;
    size_t size; /* Of those first bytes of it that a line holds as they are;
                    not 0. */
};

/* Returns what can be skipped if only keys with this prefix are wanted; its size
 * is 0 if nothing can. */
struct kv_log_skip kv_log_skip_for(const void *prefix, size_t size);

/* Returns how many of these bytes, which begin with a line, are whole lines that
 * can be skipped: each begins like a canonical record of another key, ends like
 * one that is of no batch, and has no control character in between. So it tells
 * no wanted key, whether it is sound or not, and if it is sound and ours, no
 * batch goes on in it. last_out: where the last of them begins. */
size_t kv_log_skip_lines(const struct kv_log_skip *skip,
                         const char *bytes,
                         size_t size,
                         size_t *last_out);

#endif
