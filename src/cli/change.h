/* SPDX-License-Identifier: MIT */

/* One record of what import and batch read, whatever the format. */

#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_change_kind {
    CLI_CHANGE_SET,
    CLI_CHANGE_REMOVE,
    CLI_CHANGE_REQUIRE, /* A condition. */
    CLI_CHANGE_EXPIRE,  /* Another expiry for what is there. */
    CLI_CHANGE_NOTHING  /* Blank, or one that says nothing here. */
};

struct cli_change {
    enum cli_change_kind kind;
    const void *key;
    size_t key_size;
    const void *value; /* SET, and REQUIRE with KVSTORE_IF_VALUE. */
    size_t value_size;
    int64_t expires_ms; /* SET and EXPIRE: as kvstore_batch_set() has it. */
    int condition;      /* REQUIRE: KVSTORE_IF_ABSENT and so on. */
    bool is_replayed;   /* Of a journal: a set that has expired removes what an
                           earlier record has set. */
};

/* NULL if a key and a value of these sizes can be stored; else what is wrong. */
const char *cli_change_check_sizes(size_t key_size, size_t value_size);

#endif
