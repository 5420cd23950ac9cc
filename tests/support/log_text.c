/* SPDX-License-Identifier: MIT */

/* Texts of logs. */

#include "log_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmocka.h>

void log_text_release(struct log_text *text)
{
    free(text->bytes);
    *text = LOG_TEXT_EMPTY;
}

/* Makes room, and returns its address. */
static char *extend(struct log_text *text, size_t size)
{
    if (text->size + size > text->capacity) {
        text->capacity = 2 * (text->size + size);
        text->bytes = realloc(text->bytes, text->capacity);
        assert_non_null(text->bytes);
    }
    text->size += size;
    return text->bytes + text->size - size;
}

size_t log_text_add_bytes(struct log_text *text, const char *bytes, size_t size)
{
    size_t offset = text->size;
    if (size > 0) {
        memcpy(extend(text, size), bytes, size);
    }
    return offset;
}

size_t log_text_add(struct log_text *text, const char *string)
{
    return log_text_add_bytes(text, string, strlen(string));
}

size_t log_text_fill(struct log_text *text, char byte, size_t count)
{
    size_t offset = text->size;
    memset(extend(text, count), byte, count);
    return offset;
}

void log_text_chop(struct log_text *text, size_t size)
{
    assert_true(size <= text->size);
    text->size -= size;
}

void log_text_close(struct log_text *text, size_t offset)
{
    char sum[32];
    uint64_t hash = XXH3_64bits(text->bytes + offset, text->size - offset);
    (void)snprintf(
        sum, sizeof sum, "\"sum\":\"%08x\"}}\n", (unsigned)(uint32_t)hash);
    (void)log_text_add(text, sum);
}

/* Value: NULL for a Remove. Batch: 0 for none. */
static size_t add_line(struct log_text *text,
                       const char *key,
                       const char *value,
                       unsigned batch)
{
    size_t offset = text->size;
    (void)log_text_add(text, value != NULL ? "{\"Set\":" : "{\"Remove\":");
    (void)log_text_add(text, "{\"key\":\"");
    (void)log_text_add(text, key);
    if (value != NULL) {
        (void)log_text_add(text, "\",\"val\":\"");
        (void)log_text_add(text, value);
    }
    (void)log_text_add(text, "\"");
    if (batch > 0) {
        char member[32];
        (void)snprintf(member, sizeof member, ",\"batch\":%u", batch);
        (void)log_text_add(text, member);
    }
    (void)log_text_add(text, ",");
    log_text_close(text, offset);
    return offset;
}

size_t log_text_set(struct log_text *text, const char *key, const char *value)
{
    return add_line(text, key, value, 0);
}

size_t log_text_remove(struct log_text *text, const char *key)
{
    return add_line(text, key, NULL, 0);
}

size_t log_text_batch_set(struct log_text *text,
                          const char *key,
                          const char *value,
                          unsigned batch)
{
    return add_line(text, key, value, batch);
}

size_t log_text_batch_remove(struct log_text *text,
                             const char *key,
                             unsigned batch)
{
    return add_line(text, key, NULL, batch);
}

size_t log_text_unknown(struct log_text *text, const char *key)
{
    size_t offset = log_text_add(text, "{\"Later\":{\"key\":\"");
    (void)log_text_add(text, key);
    (void)log_text_add(text, "\",");
    log_text_close(text, offset);
    return offset;
}

size_t log_text_expiring_set(struct log_text *text,
                             const char *key,
                             const char *value,
                             int64_t expires_ms)
{
    size_t offset = log_text_set(text, key, value);
    char member[40];
    (void)snprintf(
        member, sizeof member, ",\"expires\":%lld,", (long long)expires_ms);
    log_text_chop(text, strlen(",\"sum\":\"00000000\"}}\n"));
    (void)log_text_add(text, member);
    log_text_close(text, offset);
    return offset;
}

size_t log_text_damaged_set(struct log_text *text,
                            const char *key,
                            const char *value)
{
    size_t offset = add_line(text, key, value, 0);
    char *digit = text->bytes + text->size - strlen("0\"}}\n");
    *digit = *digit == '0' ? '1' : '0';
    return offset;
}
