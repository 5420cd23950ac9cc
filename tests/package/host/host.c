/* SPDX-License-Identifier: MIT */

#include <kvstore.h>

#include <stdio.h>

int host_store_and_print(const char *dir);

int host_store_and_print(const char *dir)
{
    kvstore *store = NULL;
    void *value = NULL;
    size_t value_size = 0;

    if (kvstore_open(dir, NULL, &store) != KVSTORE_OK ||
        kvstore_set(store, "user", 4, "Alice", 5) != KVSTORE_OK ||
        kvstore_get(store, "user", 4, &value, &value_size) != KVSTORE_OK) {
        fprintf(stderr, "%s\n", kvstore_last_error()->message);
        return 1;
    }
    printf("%.*s\n", (int)value_size, (const char *)value);
    kvstore_free(value);
    kvstore_close(store);
    return 0;
}
