/* SPDX-License-Identifier: MIT */

/* A strict reader of JSON (RFC 8259) for line_oracle.c: finds which members an
 * object has, and what strings mean. Shares nothing with src/. */

#ifndef JSON_ORACLE_H
#define JSON_ORACLE_H

#include "line_oracle.h"

#include <stdbool.h>
#include <stddef.h>

#define JSON_ORACLE_DEPTH_MAX 1000u

struct json_reader {
    const unsigned char *at;
    const unsigned char *end;
};

bool json_oracle_take(struct json_reader *reader, const char *literal);
void json_oracle_skip_space(struct json_reader *reader);

/* Reads a string from its opening quote on. The caller owns what it means, if
 * the string is valid; text_out may be NULL. */
bool json_oracle_string(struct json_reader *reader, struct line_text *text_out);

struct json_member {
    struct line_text name;
    const unsigned char *start; /* Of its value, */
    const unsigned char *end;   /* and the place past it. */
};

struct json_members {
    struct json_member *members; /* Owned, as are the names. */
    size_t count;
    size_t capacity;
};

/* Reads the object at the reader, nested this deep, the outermost being at
 * 1. The caller releases the members, even if there is no object. */
bool json_oracle_members(struct json_reader *reader,
                         unsigned depth,
                         struct json_members *members_out);
void json_oracle_release(struct json_members *members);

bool json_oracle_has_duplicate(const struct json_members *members);

/* NULL: there is no member of this name. */
const struct json_member *json_oracle_find(const struct json_members *members,
                                           const char *name);

#endif
