/* SPDX-License-Identifier: MIT */

#include "own_names.h"
#include <kvstore.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    kvstore *store = NULL;
    void *value = NULL;
    size_t value_size = 0;

    if (argc != 2 || kvstore_open(argv[1], NULL, &store) != KVSTORE_OK ||
        kvstore_set(store, "user", 4, "Alice", 5) != KVSTORE_OK ||
        kvstore_get(store, "user", 4, &value, &value_size) != KVSTORE_OK) {
        fprintf(stderr, "%s\n", kvstore_last_error()->message);
        return 1;
    }
    printf("%.*s\n", (int)value_size, (const char *)value);
    kvstore_free(value);
    kvstore_close(store);

    /* An error of the library's calls its kv_fail(), never the program's. */
    return kvstore_open("", NULL, &store) != KVSTORE_OK && kv_fail() == 1 &&
                   kv_log_append() == 1 && kv_io_table() == 1
               ? 0
               : 1;
}
