/* SPDX-License-Identifier: MIT */

/* Works out what a line is from its bytes, which come in pieces of any size. */

#include "log/measure.h"

#include <assert.h>
#include <string.h>

size_t kv_measure_count_nuls(const char *bytes, size_t size)
{
    assert(bytes != NULL);
    size_t count = 0;
    if (size > 0 && bytes[0] == '\0' &&
        memcmp(bytes, bytes + 1, size - 1) == 0) {
        return size; /* Much faster than byte by byte. */
    }
    while (count < size && bytes[count] == '\0') {
        count++;
    }
    return count;
}

size_t kv_measure_find_hidden_start(const char *bytes, size_t size)
{
    assert(bytes != NULL);
    const char *nul = memchr(bytes, '\0', size);
    for (size_t i = nul == NULL ? size : (size_t)(nul - bytes) + 1; i < size;
         i++) {
        if (bytes[i] == '{' && bytes[i - 1] == '\0') {
            return i;
        }
    }
    return size;
}

static bool is_white_byte(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static void note_dark(struct kv_measure *measure,
                      const char *bytes,
                      size_t size)
{
    size_t first = 0;
    while (first < size && is_white_byte(bytes[first])) {
        first++;
    }
    while (size > first && is_white_byte(bytes[size - 1])) {
        size--;
    }
    if (first < size) {
        measure->last_dark = bytes[size - 1];
        if (measure->first_dark == '\0') {
            measure->first_dark = bytes[first];
        }
    }
}

void kv_measure_bytes(struct kv_measure *measure,
                      const char *bytes,
                      size_t size)
{
    assert(measure != NULL && bytes != NULL);
    const char *newline = memchr(bytes, '\n', size);
    size = newline == NULL ? size : (size_t)(newline - bytes);
    if (size > 0 && measure->hidden_start == 0) {
        bool is_hidden = measure->last == '\0' && bytes[0] == '{';
        size_t start =
            is_hidden ? 0 : kv_measure_find_hidden_start(bytes, size);
        measure->hidden_start = start < size ? measure->offset + start : 0;
    }
    if (size > 0) {
        measure->has_nul |= memchr(bytes, '\0', size) != NULL;
        measure->last = bytes[size - 1];
        note_dark(measure, bytes, size);
    }
    measure->has_newline = newline != NULL;
    measure->offset += size;
}
