/* SPDX-License-Identifier: MIT */

/* The record types and their JSON line, both ways. Knows one line at a time;
 * nothing of files, offsets or the index. docs/format.md is the specification.
 *
 * The canonical form, whose members stand at known places, has its own encoder
 * and decoder here. Every other layout goes through cJSON, in
 * record/foreign.c. */

#ifndef KV_RECORD_RECORD_H
#define KV_RECORD_RECORD_H

#include "kvstore.h"
#include "record/text.h"
#include "record/text_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kv_record_type {
    KV_RECORD_BLANK, /* Nothing but JSON white space. */
    KV_RECORD_SET,
    KV_RECORD_REMOVE,
    KV_RECORD_UNKNOWN, /* A variant that only a newer version knows. */
    KV_RECORD_DAMAGED  /* Everything else. */
};

/* A line, decoded. The texts borrow the line, or owned. */
struct kv_record {
    enum kv_record_type type;
    /* The key could be told: always with SET and REMOVE, sometimes with
     * UNKNOWN and DAMAGED. */
    bool has_key;
    struct kv_text key;
    struct kv_text value;  /* SET only. */
    int64_t expires_ms;    /* SET only: since the epoch; 0: never. */
    uint32_t batch;        /* Records to the end of the batch, this one
                             counted; 0: not in a batch. */
    kvstore_status damage; /* DAMAGED: KVSTORE_BAD_JSON, or KVSTORE_CORRUPT
                              where the sum does not fit. Else KVSTORE_OK. */
    void *owned;
};

/* Is it a record that this version knows? */
static inline bool kv_record_is_record(const struct kv_record *record)
{
    return record->type == KV_RECORD_SET || record->type == KV_RECORD_REMOVE;
}

/* The name of the first member of a line of an unknown variant, which newer
 * versions have their variant in, if it is a word of letters that out has room for,
 * its NUL counted; else an empty one. */
void kv_record_name_variant(const char *line,
                            size_t size,
                            char *out,
                            size_t capacity);

/* A line to be written: bytes whose size is known before they are laid out. */
struct kv_record_plan {
    enum kv_record_type type; /* SET or REMOVE. */
    const void *key;
    size_t key_size;
    const void *value;
    size_t value_size;
    int64_t expires_ms; /* 0: never. */
    uint32_t batch;     /* 0: not in a batch. */
    struct kv_text_plan key_plan;
    struct kv_text_plan value_plan;
    size_t line_size; /* The newline counted. */
};

#endif
