/* SPDX-License-Identifier: MIT */

/* Sets a key and compacts in the same call, for scripts: set_and_compact DIR
 * KEY VALUE. The command does so too, but only when a mebibyte is stale. Prints
 * "ok", or "failed" and a reason. */

#include "kvstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 1;
    options.compaction_percent = 1;
    if (count != 4) {
        (void)puts("failed not understood");
        return EXIT_FAILURE;
    }
    kvstore_status status = kvstore_open(words[1], &options, &store);
    if (status == KVSTORE_OK) {
        status = kvstore_set(
            store, words[2], strlen(words[2]), words[3], strlen(words[3]));
    }
    (void)printf("%s%s\n",
                 status == KVSTORE_OK ? "ok" : "failed ",
                 status == KVSTORE_OK ? "" : kvstore_last_error()->message);
    kvstore_close(store);
    return status == KVSTORE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
