/* SPDX-License-Identifier: MIT */

/* Opens the store in a directory and sets a key a number of times, for a test
 * that counts the system calls: sets_in_a_row DIR COUNT. */

#include "kvstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    kvstore *store = NULL;
    if (argc != 3 || kvstore_open(argv[1], NULL, &store) != KVSTORE_OK) {
        (void)fprintf(stderr, "%s\n", kvstore_last_error()->message);
        return EXIT_FAILURE;
    }
    long count = strtol(argv[2], NULL, 10);
    for (long i = 0; i < count; i++) {
        char value[32];
        (void)snprintf(value, sizeof value, "%ld", i);
        if (kvstore_set(store, "key", 3, value, strlen(value)) != KVSTORE_OK) {
            (void)fprintf(stderr, "%s\n", kvstore_last_error()->message);
            return EXIT_FAILURE;
        }
    }
    kvstore_close(store);
    return EXIT_SUCCESS;
}
