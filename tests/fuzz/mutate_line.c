/* SPDX-License-Identifier: MIT */

/* libFuzzer's mutations of a line, after half of which the sum is made to fit:
 * otherwise hardly any would get past it. */

#include "fuzz.h"
#include "line_oracle.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data,
                               size_t size,
                               size_t capacity,
                               unsigned seed);

static const char sum_tail[] = ",\"sum\":\"00000000\"}}";
#define TAIL_SIZE (sizeof sum_tail - 1)
#define NAME_SIZE (sizeof(",\"sum\":\"") - 1)

/* Gives the line [data, data + size) a sum that fits, in place of the one that
 * it has, or before its last two braces. */
static size_t put_sum(uint8_t *data, size_t size, size_t capacity)
{
    bool has_sum = size >= TAIL_SIZE &&
                   memcmp(data + size - TAIL_SIZE, sum_tail, NAME_SIZE) == 0;
    bool is_closed = size >= 2 && memcmp(data + size - 2, "}}", 2) == 0;
    if (!is_closed || (!has_sum && size - 2 + TAIL_SIZE > capacity)) {
        return size;
    }
    size_t comma = size - (has_sum ? TAIL_SIZE : 2);
    const uint8_t *start = memchr(data, '{', comma);
    memcpy(data + comma, sum_tail, TAIL_SIZE);
    if (start != NULL) {
        line_oracle_sum(start,
                        (size_t)(data + comma + 1 - start),
                        (char *)data + comma + NAME_SIZE);
    }
    return comma + TAIL_SIZE;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data,
                               size_t size,
                               size_t capacity,
                               unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, capacity);
    if (seed % 2 == 0 || size == 0) {
        return size;
    }
    bool has_newline = data[size - 1] == '\n';
    size = put_sum(data, size - (has_newline ? 1 : 0), capacity);
    if ((has_newline || seed % 4 == 1) && size < capacity) {
        data[size++] = '\n';
    }
    return size;
}
