/* SPDX-License-Identifier: MIT */

/* Checks that a text is JSON, strictly by RFC 8259. cJSON, which parses lines,
 * accepts more than that (control characters in strings, numbers such as 01,
 * any byte up to 32 as white space, trailing bytes) and cannot distinguish a
 * wrong line from a lack of memory. So only what has passed here reaches it. */

#ifndef KV_RECORD_JSON_H
#define KV_RECORD_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* What a valid text holds that cJSON cannot parse as it is. */
struct kv_json_facts {
    bool has_nul;               /* An escaped NUL, \u0000, in some string. */
    size_t longest_number_size; /* Bytes; 0: there is no number. */
    size_t member_count;        /* Of the outermost object and of the objects
                                   that are its members. */
};

/* True if the text is one JSON value in valid UTF-8 with white space around
 * it, nested no deeper than KV_JSON_DEPTH_MAX. Does not recurse, allocates
 * nothing. */
bool kv_json_is_valid(const char *text,
                      size_t size,
                      struct kv_json_facts *facts_out);

#endif
