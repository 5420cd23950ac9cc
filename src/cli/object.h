/* SPDX-License-Identifier: MIT */

/* Goes through the members of a JSON object in place, so that a value can be
 * kept as the text that stands there. Knows no records. */

#ifndef CLI_OBJECT_H
#define CLI_OBJECT_H

#include "record/text.h"

#include <stdbool.h>
#include <stddef.h>

/* A place in the text of an object that kv_json_is_valid() has accepted. */
struct cli_object {
    const char *at;
    const char *end;
};

struct cli_member {
    struct kv_text name;
    const char *value; /* Its text, without white space around it. */
    size_t value_size;
};

/* Begins with the object whose brace is the first of these bytes. */
struct cli_object cli_object_of(const char *text, size_t size);

/* Goes on to the next member. False: there is none. */
bool cli_object_next(struct cli_object *object, struct cli_member *member_out);

/* True if the member has this name. */
bool cli_member_is(const struct cli_member *member, const char *name);

#endif
