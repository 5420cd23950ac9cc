/* SPDX-License-Identifier: MIT */

/* What an input of fuzz_store means: four bytes of flags, the changes to be
 * made once the index has been built, and the log. Any bytes mean something. */

#ifndef STORE_INPUT_H
#define STORE_INPUT_H

#include "index_lies.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_INPUT_HEAD 4u
#define STORE_INPUT_LIES_MAX 8u
#define STORE_INPUT_STEPS 4u

enum store_step {
    STEP_SET_NEW,
    STEP_SET_OLD,
    STEP_REMOVE,
    STEP_COMPACT,
    STEP_REPAIR,
    STEP_REOPEN,
    STEP_READ_ONLY, /* Read by another handle. */
    STEP_LOSE_INDEX,
    STEP_COUNT /* Others let a system call of the next step fail. */
};

struct store_input {
    bool has_index;    /* It is built before the changes are made, */
    bool is_half;      /* but only from the first half of the lines. */
    bool is_exclusive; /* The handle keeps the writers' lock. */
    bool is_kept_open; /* It was open before the changes. */
    bool is_unsealed;  /* The header's sums do not fit then. */
    bool changes_log;  /* The lines change, too, */
    bool is_replaced;  /* in a file of its own. */
    bool lacks_room;   /* That is why calls fail; else it is the disk. */
    unsigned steps[STORE_INPUT_STEPS];
    struct index_lie lies[STORE_INPUT_LIES_MAX];
    size_t lie_count;
    size_t lies_end; /* In the input. */
    const char *log; /* Borrowed from the input. */
    size_t log_size;
};

void store_input_read(struct store_input *input,
                      const uint8_t *data,
                      size_t size);

/* Returns where the first half of the lines ends. */
size_t store_input_half(const struct store_input *input);

/* Returns where the lines of a log begin; the caller frees them. */
uint64_t *store_input_offsets(const char *log, size_t size, size_t *count_out);

/* Returns the log with those changes that are about lines. The caller frees it.
 * has_changed_out: the log differs from what it was. */
char *store_input_change_log(const struct store_input *input,
                             size_t *size_out,
                             bool *has_changed_out);

#endif
