/* SPDX-License-Identifier: MIT */

/* What a log means, by docs/format.md alone and without an index: a list of its
 * lines, each with the oracle's verdict. Shares nothing with src/. Where it
 * takes a long rule to distinguish a torn tail from damage, the model does not,
 * and allows both. */

#ifndef LOG_MODEL_H
#define LOG_MODEL_H

#include "line_oracle.h"

#include <stdbool.h>
#include <stddef.h>

/* The time in the model, in milliseconds since the epoch. */
#define LOG_MODEL_NOW_MS INT64_C(1500000000000)

struct log_line {
    size_t offset;
    size_t size; /* Without its LF. */
    struct line_verdict verdict;
    bool is_applied; /* A Set or a Remove that counts. */
    bool is_newer;   /* A record of a newer version, and no damage. */
    bool is_settled; /* It is, or is followed by, a sound record of no batch: so
                        it is no torn tail. */
};

struct log_model {
    char *bytes; /* Owned. */
    size_t size;
    struct log_line *lines; /* Owned. */
    size_t count;
    bool has_unknown;
    bool has_damage;   /* Or what may be a torn tail. */
    bool is_ambiguous; /* It takes the whole rule of the torn tail to say which
                          of its last lines count. */
    bool hides_record; /* After NULs in the last line, which lacks its LF; or at
                          the beginning of a line that goes on after it. */
};

void log_model_read(struct log_model *model, const void *bytes, size_t size);
void log_model_release(struct log_model *model);

/* What the log says of a key. */
struct log_answer {
    const struct log_line *newest; /* Applied; NULL: none. */
    bool has_value;                /* That is a Set, and has not expired. */
    bool is_refused;               /* A later line of the key cannot be served:
                                      certainly, */
    bool may_be_refused;           /* or if it is no torn tail. */
};
struct log_answer log_model_ask(const struct log_model *model,
                                const void *key,
                                size_t key_size);

/* True if a Set that counts has ever given the key this value. */
bool log_model_ever_had(const struct log_model *model,
                        const struct line_text *key,
                        const void *value,
                        size_t value_size);

/* True if a Set of a batch, be it whole or not, gives the key this value. */
bool log_model_has_in_batch(const struct log_model *model,
                            const struct line_text *key,
                            const void *value,
                            size_t value_size);

/* True if a record that gives the key this value has lost its LF: the line goes
 * on after it, or is the last one and hides it by NULs before it. */
bool log_model_has_hidden(const struct log_model *model,
                          const struct line_text *key,
                          const void *value,
                          size_t value_size);

/* True if the library can be asked for it. */
bool log_model_is_key(const struct line_text *key);

#endif
