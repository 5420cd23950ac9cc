/* SPDX-License-Identifier: MIT */

/* Structures of programs that were built with another version of kvstore.h: the
 * first member is their size, and later versions add members at the end. */

#ifndef KV_STORE_MEMBERS_H
#define KV_STORE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No version will have larger ones: more is an error, and is not read. */
#define KV_MEMBERS_SIZE_MAX ((size_t)1024)

/* True if a structure says that it has the known size, by 0 too, or a larger one
 * of which all the rest is zero. */
static inline bool kv_members_are_known(const void *given,
                                        size_t given_size,
                                        size_t known_size)
{
    const unsigned char *bytes = given;
    if (given_size == 0) {
        return true;
    }
    bool are_known =
        given_size >= known_size && given_size <= KV_MEMBERS_SIZE_MAX;
    for (size_t i = known_size; are_known && i < given_size; i++) {
        are_known = bytes[i] == 0;
    }
    return are_known;
}

/* True if all of some members that are kept for later versions are zero. */
static inline bool kv_members_are_zero(const uint32_t *reserved, size_t count)
{
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= reserved[i];
    }
    return any == 0;
}

#endif
