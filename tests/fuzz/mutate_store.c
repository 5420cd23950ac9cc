/* SPDX-License-Identifier: MIT */

/* Mutations of inputs of fuzz_store: those of libFuzzer, others that know lies
 * and lines, and sums that are made to fit again. */

#include "fuzz.h"
#include "index_lies.h"
#include "line_oracle.h"
#include "store_input.h"

#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data,
                               size_t size,
                               size_t capacity,
                               unsigned seed);

static uint32_t next_random(uint32_t *state)
{
    *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
    return *state >> 8;
}

static size_t lies_size(const uint8_t *data, size_t size)
{
    struct store_input input;
    store_input_read(&input, data, size);
    return input.lies_end - STORE_INPUT_HEAD;
}

/* --- Lies --- */

/* Makes one lie another, or adds one. */
static size_t mutate_lie(uint8_t *data,
                         size_t size,
                         size_t capacity,
                         uint32_t *state)
{
    size_t present = lies_size(data, size) / INDEX_LIE_SIZE;
    size_t at =
        STORE_INPUT_HEAD + next_random(state) % (present + 1) * INDEX_LIE_SIZE;
    bool is_new = at == STORE_INPUT_HEAD + present * INDEX_LIE_SIZE;
    if (is_new &&
        (present == STORE_INPUT_LIES_MAX || size + INDEX_LIE_SIZE > capacity)) {
        return size;
    }
    if (is_new) {
        memmove(data + at + INDEX_LIE_SIZE, data + at, size - at);
        size += INDEX_LIE_SIZE;
        data[1] = (uint8_t)(present + 1);
    }
    for (size_t i = 0; i < INDEX_LIE_SIZE; i++) {
        bool is_high = i == 3 || i >= 5;
        data[at + i] = (uint8_t)(is_high ? 0 : next_random(state));
    }
    data[at] %= 16;
    return size;
}

/* --- Lines --- */

/* Takes a line out, doubles it, or moves it to the end. */
static size_t mutate_lines(uint8_t *data,
                           size_t size,
                           size_t capacity,
                           uint32_t *state)
{
    size_t start = STORE_INPUT_HEAD + lies_size(data, size);
    size_t count = 0;
    uint64_t *offsets =
        store_input_offsets((char *)data + start, size - start, &count);
    uint8_t line[512];
    if (count > 0) {
        size_t i = next_random(state) % count;
        size_t at = start + (size_t)offsets[i];
        size_t end = i + 1 < count ? start + (size_t)offsets[i + 1] : size;
        size_t length = end - at < sizeof line ? end - at : sizeof line;
        uint32_t way = next_random(state) % 3;
        memcpy(line, data + at, length);
        if (way != 0) {
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
        }
        if (way != 1 && size + length <= capacity) {
            memcpy(data + size, line, length);
            size += length;
        }
    }
    free(offsets);
    return size;
}

/* Makes the sums fit in all lines that have one, but for some. */
static void mend_sums(uint8_t *data, size_t size, uint32_t *state)
{
    static const char name[] = ",\"sum\":\"";
    size_t start = STORE_INPUT_HEAD + lies_size(data, size);
    uint8_t *at = data + start;
    uint8_t *end = data + size;
    while (at < end) {
        uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        uint8_t *line_end = newline == NULL ? end : newline;
        uint8_t *comma = line_end - at >= 19 ? line_end - 19 : NULL;
        const uint8_t *brace =
            comma == NULL ? NULL : memchr(at, '{', (size_t)(comma - at));
        if (brace != NULL && memcmp(comma, name, sizeof name - 1) == 0 &&
            memcmp(line_end - 3, "\"}}", 3) == 0 &&
            next_random(state) % 16 != 0) {
            line_oracle_sum(
                brace, (size_t)(comma + 1 - brace), (char *)comma + 8);
        }
        at = line_end + 1;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data,
                               size_t size,
                               size_t capacity,
                               unsigned seed)
{
    uint32_t state = seed;
    uint32_t way = next_random(&state) % 8;
    if (size < STORE_INPUT_HEAD || way < 3) {
        size = LLVMFuzzerMutate(data, size, capacity);
    } else if (way < 5) {
        size = mutate_lie(data, size, capacity, &state);
    } else if (way < 7) {
        size = mutate_lines(data, size, capacity, &state);
    } else {
        data[next_random(&state) % STORE_INPUT_HEAD] =
            (uint8_t)next_random(&state);
    }
    if (size > STORE_INPUT_HEAD && next_random(&state) % 4 != 0) {
        mend_sums(data, size, &state);
    }
    return size;
}
