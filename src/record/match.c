/* SPDX-License-Identifier: MIT */

/* The short way to a value: nothing is searched for, since key and length are
 * known. */

#include "record/match.h"

#include "record/names.h"
#include "record/scan.h"
#include "record/sum.h"

#include <assert.h>
#include <string.h>

#define KEY_AT (sizeof(SET_HEAD KEY_NAME) - 1)
#define BETWEEN "\"" VAL_NAME
#define BETWEEN_SIZE (sizeof(BETWEEN) - 1)
#define BATCH_NAME_SIZE (sizeof(BATCH_NAME) - 1)

/* As many digits as the largest number of a batch has. */
#define BATCH_DIGITS_MAX 10

/* Where the value begins after a key of a size. */
static inline size_t value_place(size_t key_size)
{
    return KEY_AT + key_size + BETWEEN_SIZE;
}

/* True if the line, which is long enough, is such a Set and has this quote after
 * its value. */
static inline bool match_up_to(const char *line,
                               size_t size,
                               const void *key,
                               size_t key_size,
                               const char *value_end,
                               struct kv_text *value_out)
{
    if (memcmp(line, SET_HEAD KEY_NAME, KEY_AT) != 0 ||
        memcmp(line + KEY_AT, key, key_size) != 0 ||
        memcmp(line + KEY_AT + key_size, BETWEEN, BETWEEN_SIZE) != 0) {
        return false;
    }
    const char *key_end = line + KEY_AT + key_size;
    const char *value = line + value_place(key_size);
    *value_out = kv_text_plain(value, (size_t)(value_end - value));
    return *value_end == '"' && kv_record_has_sum_tail(line, line + size) &&
           kv_scan_is_bare(line + KEY_AT, key_end) &&
           kv_scan_is_bare(value, value_end) &&
           kv_record_is_sum_fitting(line, line + size);
}

bool kv_record_match_set(const char *line,
                         size_t size,
                         const void *key,
                         size_t key_size,
                         struct kv_text *value_out)
{
    assert(line != NULL && key != NULL);
    const size_t tail_size = 1 + KV_RECORD_SUM_TAIL_SIZE;
    return size >= value_place(key_size) + tail_size &&
           match_up_to(
               line, size, key, key_size, line + size - tail_size, value_out);
}

/* Finds the quote after a value that has only its number in a batch after it.
 * NULL: there is something else. */
static const char *find_value_end(const char *value,
                                  const char *members_end,
                                  uint32_t *batch_out)
{
    const char *at = members_end;
    uint64_t number = 0;
    uint64_t unit = 1;
    for (int i = 0;
         i < BATCH_DIGITS_MAX && at > value && at[-1] >= '0' && at[-1] <= '9';
         i++) {
        number += (uint64_t)(*--at - '0') * unit;
        unit *= 10;
    }
    if (number == 0 || number > UINT32_MAX || *at == '0' ||
        (size_t)(at - value) < 1 + BATCH_NAME_SIZE ||
        memcmp(at - BATCH_NAME_SIZE, BATCH_NAME, BATCH_NAME_SIZE) != 0) {
        return NULL;
    }
    *batch_out = (uint32_t)number;
    return at - BATCH_NAME_SIZE - 1;
}

bool kv_record_match_batch_set(const char *line,
                               size_t size,
                               const void *key,
                               size_t key_size,
                               struct kv_text *value_out,
                               uint32_t *batch_out)
{
    assert(line != NULL && key != NULL);
    if (size < value_place(key_size) + KV_RECORD_SUM_TAIL_SIZE) {
        return false;
    }
    const char *value_end =
        find_value_end(line + value_place(key_size),
                       line + size - KV_RECORD_SUM_TAIL_SIZE,
                       batch_out);
    return value_end != NULL &&
           match_up_to(line, size, key, key_size, value_end, value_out);
}
