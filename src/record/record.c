/* SPDX-License-Identifier: MIT */

/* The canonical line of a record, both ways, and its sum:
 *
 *   {"Set":{KEY,VALUE[,"expires":N][,"batch":N][,"sum":"xxxxxxxx"]}}
 *   {"Remove":{KEY[,"batch":N][,"sum":"xxxxxxxx"]}}
 *
 * where KEY is "key":"..." or "key64":"...", and VALUE is "val", "value" or
 * "val64" likewise. There is no white space anywhere, but a CR may follow the
 * last brace. All other lines are left to record/foreign.c. */

#include "record/record.h"

#include <assert.h>
#include <string.h>

static bool is_letter(char character)
{
    return (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z');
}

void kv_record_name_variant(const char *line,
                            size_t size,
                            char *out,
                            size_t capacity)
{
    assert(line != NULL && out != NULL && capacity > 0);
    const char *end = line + size;
    const char *quote = size == 0 ? NULL : memchr(line, '"', size);
    const char *at = quote == NULL ? end : quote + 1;
    size_t length = 0;
    while (at < end && length + 1 < capacity && is_letter(*at)) {
        out[length++] = *at++;
    }
    out[at < end && *at == '"' ? length : 0] = '\0';
}
