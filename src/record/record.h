/* SPDX-License-Identifier: MIT */

/* The record types and their JSON line, both ways. Knows one line at a time;
 * nothing of files, offsets or the index. docs/format.md is the specification.
 *
 * The canonical form, whose members are at known places, has its own encoder,
 * record/plan.c, and decoder, record/decode.c. Every other layout goes through
 * cJSON, in record/foreign.c. */

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

/* A line, decoded. The texts point into the line, or into owned. */
struct kv_record {
    enum kv_record_type type;
    /* The key could be read: always with SET and REMOVE, sometimes with UNKNOWN
     * and DAMAGED. */
    bool has_key;
    struct kv_text key;
    struct kv_text value;  /* SET only. */
    int64_t expires_ms;    /* SET only: since the epoch; 0: never. */
    uint32_t batch;        /* Records to the end of the batch, including this
                              one; 0: not in a batch. */
    kvstore_status damage; /* DAMAGED: KVSTORE_BAD_JSON, or KVSTORE_CORRUPT if
                              the sum does not match. Else KVSTORE_OK. */
    void *owned;
};

/* True if this version knows the record. */
static inline bool kv_record_is_record(const struct kv_record *record)
{
    return record->type == KV_RECORD_SET || record->type == KV_RECORD_REMOVE;
}

/* Writes the name of the first member of a line of an unknown variant, which is
 * where newer versions name their variant, if it is a word of letters that fits
 * in out with a NUL; else an empty name. */
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
    size_t line_size; /* Including the newline. */
};

#endif
