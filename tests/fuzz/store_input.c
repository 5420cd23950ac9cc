/* SPDX-License-Identifier: MIT */

/* Inputs of fuzz_store. */

#include "store_input.h"

#include "fuzz.h"
#include "line_oracle.h"
#include "scratch.h"

#include <stdlib.h>
#include <string.h>

#define ADDED_MAX ((size_t)4096) /* Per change. */

/* True if this kind of change is made: each is, unless the environment says
 * otherwise, by bits, to get past what is known already. */
static bool is_wanted(const struct index_lie *lie)
{
    static unsigned long kinds;
    if (kinds == 0) {
        kinds = scratch_number("KVSTORE_FUZZ_KINDS", 0xffff) | 0x10000;
    }
    return (kinds >> lie->kind % 16 & 1) != 0;
}

void store_input_read(struct store_input *input,
                      const uint8_t *data,
                      size_t size)
{
    uint8_t head[STORE_INPUT_HEAD] = {0};
    memcpy(head, data, size < sizeof head ? size : sizeof head);
    const uint8_t *at = data + (size < sizeof head ? size : sizeof head);
    const uint8_t *end = data + size;
    unsigned flags = head[0];
    *input = (struct store_input){.has_index = (flags & 1) != 0,
                                  .is_half = (flags & 2) != 0,
                                  .is_exclusive = (flags & 4) != 0,
                                  .is_kept_open = (flags & 8) != 0,
                                  .is_unsealed = (flags & 16) != 0,
                                  .changes_log = (flags & 32) != 0,
                                  .is_replaced = (flags & 64) != 0,
                                  .lacks_room = (flags & 128) != 0};
    for (size_t i = 0; i < STORE_INPUT_STEPS; i++) {
        input->steps[i] = head[2 + i / 2] >> (i % 2 * 4) & 15;
    }
    size_t wanted = head[1] % (STORE_INPUT_LIES_MAX + 1);
    for (size_t i = 0; i < wanted && end - at >= (long)INDEX_LIE_SIZE; i++) {
        struct index_lie lie = index_lie_read(at);
        if (is_wanted(&lie)) {
            input->lies[input->lie_count++] = lie;
        }
        at += INDEX_LIE_SIZE;
    }
    input->lies_end = (size_t)(at - data);
    input->log = (const char *)at;
    input->log_size = (size_t)(end - at);
}

uint64_t *store_input_offsets(const char *log, size_t size, size_t *count_out)
{
    uint64_t *offsets = fuzz_allocate((size + 1) * sizeof *offsets);
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (i == 0 || log[i - 1] == '\n') {
            offsets[count++] = i;
        }
    }
    *count_out = count;
    return offsets;
}

size_t store_input_half(const struct store_input *input)
{
    size_t count = 0;
    uint64_t *offsets =
        store_input_offsets(input->log, input->log_size, &count);
    size_t half = count < 2 ? input->log_size : (size_t)offsets[count / 2];
    free(offsets);
    return half;
}

/* A line, its LF counted if it has one. */
struct piece {
    size_t offset;
    size_t size;
};

static struct piece piece_at(const char *log, size_t size, uint32_t number)
{
    size_t count = 0;
    uint64_t *offsets = store_input_offsets(log, size, &count);
    struct piece piece = {0, 0};
    if (count > 0) {
        size_t i = number % count;
        piece.offset = (size_t)offsets[i];
        piece.size =
            (i + 1 < count ? (size_t)offsets[i + 1] : size) - piece.offset;
    }
    free(offsets);
    return piece;
}

/* Puts the bytes of two lines in each other's place. */
static void exchange(char *log, size_t size, const struct index_lie *lie)
{
    struct piece a = piece_at(log, size, lie->place);
    struct piece b = piece_at(log, size, lie->value);
    if (a.offset > b.offset) {
        struct piece c = a;
        a = b;
        b = c;
    }
    if (a.offset == b.offset) {
        return;
    }
    char *copy = fuzz_copy(log, size);
    size_t between = b.offset - a.offset - a.size;
    char *at = log + a.offset;
    memcpy(at, copy + b.offset, b.size);
    memcpy(at + b.size, copy + a.offset + a.size, between);
    memcpy(at + b.size + between, copy + a.offset, a.size);
    free(copy);
}

/* Returns where the text of a member is in a line; nothing if it has none. */
static struct piece text_of(const char *log,
                            struct piece line,
                            const char *member)
{
    size_t size = strlen(member);
    size_t end = line.offset + line.size;
    struct piece text = {end, 0};
    for (size_t i = line.offset; i + size < end; i++) {
        if (memcmp(log + i, member, size) == 0) {
            text.offset = i + size;
            break;
        }
    }
    while (text.offset + text.size < end &&
           log[text.offset + text.size] != '"') {
        text.size++;
    }
    return text;
}

/* Gives a line the sum that fits, if it has one in its place. */
static void mend_sum(char *log, struct piece line)
{
    static const char name[] = ",\"sum\":\"";
    const size_t tail_size = sizeof name - 1 + sizeof "01234567\"}}" - 1;
    size_t size = line.size;
    if (size > 0 && log[line.offset + size - 1] == '\n') {
        size--;
    }
    if (size <= tail_size) {
        return;
    }
    char *comma = log + line.offset + size - tail_size;
    if (memcmp(comma, name, sizeof name - 1) == 0) {
        line_oracle_sum(
            log + line.offset, size - tail_size + 1, comma + sizeof name - 1);
    }
}

/* Gives a line the key of another one, or its value, of the same length, or
 * another first letter; the line stays sound. */
static void lend_text(char *log, size_t size, const struct index_lie *lie)
{
    const char *member = lie->part % 2 == 0 ? "\"key\":\"" : "\"val\":\"";
    struct piece line = piece_at(log, size, lie->place);
    struct piece to = text_of(log, line, member);
    struct piece from = text_of(log, piece_at(log, size, lie->value), member);
    if (to.size == from.size && lie->part % 4 < 2) {
        memmove(log + to.offset, log + from.offset, to.size);
    } else if (to.size > 0) {
        log[to.offset] = (char)('a' + lie->value % 26);
    }
    mend_sum(log, line);
}

/* Appends some bytes of a line, or all. */
static size_t append(char *log, size_t size, const struct index_lie *lie)
{
    struct piece piece = piece_at(log, size, lie->place);
    size_t cut = lie->part % 2 == 0 ? 0 : lie->value % (piece.size + 1);
    size_t added = piece.size - cut < ADDED_MAX ? piece.size - cut : ADDED_MAX;
    memcpy(log + size, log + piece.offset, added);
    return size + added;
}

static size_t change(char *log, size_t size, const struct index_lie *lie)
{
    size_t place = size == 0 ? 0 : lie->place % size;
    size_t length = lie->value % (size - place + 1);
    switch (lie->kind % 16) {
    case 9:
        if (size > 0) {
            log[place] = (char)lie->part;
        }
        return size;
    case 10:
        exchange(log, size, lie);
        return size;
    case 11:
        return place;
    case 12:
        return append(log, size, lie);
    case 13:
        memset(log + place, 0, length);
        return size;
    case 14:
        memmove(log + place, log + place + length, size - place - length);
        return size - length;
    case 15:
        lend_text(log, size, lie);
        return size;
    default:
        return size;
    }
}

char *store_input_change_log(const struct store_input *input,
                             size_t *size_out,
                             bool *has_changed_out)
{
    size_t size = input->log_size;
    char *log = fuzz_allocate(size + STORE_INPUT_LIES_MAX * ADDED_MAX);
    if (size > 0) {
        memcpy(log, input->log, size);
    }
    for (size_t i = 0; i < input->lie_count && input->changes_log; i++) {
        size = change(log, size, &input->lies[i]);
    }
    *size_out = size;
    *has_changed_out = !fuzz_equal(log, size, input->log, input->log_size);
    return log;
}
