/* SPDX-License-Identifier: MIT */

/* Goes through the members of a JSON object in place. Since its text is known to
 * be valid, nothing but the ends of values has to be found. */

#include "cli/object.h"

#include <assert.h>
#include <string.h>

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at)) {
        at++;
    }
    return at;
}

/* The place after a string; at is its opening quote. */
static const char *skip_string(const char *at, const char *end)
{
    struct kv_text text;
    const char *after = kv_text_scan_string(at + 1, end, &text);

    return after == NULL ? end : after;
}

/* The place after an array or an object. */
static const char *skip_container(const char *at, const char *end)
{
    size_t depth = 0;

    do {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        }
        at++;
    } while (depth > 0 && at < end);
    return at;
}

static const char *skip_value(const char *at, const char *end)
{
    if (*at == '"') {
        return skip_string(at, end);
    }
    if (*at == '{' || *at == '[') {
        return skip_container(at, end);
    }
    while (at < end && !is_space(*at) && *at != ',' && *at != '}') {
        at++;
    }
    return at;
}

struct cli_object cli_object_of(const char *text, size_t size)
{
    assert(size >= 2 && text[0] == '{');
    return (struct cli_object){.at = text + 1, .end = text + size};
}

bool cli_object_next(struct cli_object *object, struct cli_member *member_out)
{
    const char *end = object->end;
    const char *at = skip_space(object->at, end);

    if (at < end && *at == ',') {
        at = skip_space(at + 1, end);
    }
    if (at >= end || *at != '"') {
        return false;
    }
    at = kv_text_scan_string(at + 1, end, &member_out->name);
    at = at == NULL ? end : skip_space(at, end);
    at = at == end ? end : skip_space(at + 1, end); /* Past the colon. */
    if (at == end) {
        return false;
    }
    member_out->value = at;
    object->at = skip_value(at, end);
    member_out->value_size = (size_t)(object->at - at);
    return true;
}

bool cli_member_is(const struct cli_member *member, const char *name)
{
    size_t size = strlen(name);

    return member->name.size == size &&
           kv_text_equals(&member->name, name, size);
}
