/* SPDX-License-Identifier: MIT */

/* One record of what import and batch read. */

#include "cli/change.h"

#include <kvstore.h>

const char *cli_change_check_sizes(size_t key_size, size_t value_size)
{
    if (key_size == 0) {
        return "the key is empty";
    }
    if (key_size > KVSTORE_KEY_SIZE_MAX) {
        return "the key has more than 65535 bytes";
    }
    if (value_size > KVSTORE_VALUE_SIZE_MAX) {
        return "the value has more than 1073741824 bytes";
    }
    return NULL;
}
