/* SPDX-License-Identifier: MIT */

/* What the library did on its own and a human should know. It is noted under
 * whatever locks there are, and told when the call that met it holds none. */

#ifndef KV_OS_WARNINGS_H
#define KV_OS_WARNINGS_H

#include "kvstore.h"
#include "os/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* More than these, or longer ones, are not kept until they are told. */
#define KV_WARNINGS_MAX 4u
#define KV_WARNING_SIZE 352u

struct kv_warnings {
    kvstore_warning tell; /* NULL: nobody is told. */
    void *context;
    atomic_bool are_due;
    pthread_mutex_t mutex; /* For what follows. No lock is taken under it. */
    bool is_telling;       /* Some thread, with the mutex free. */
    unsigned count;
    char texts[KV_WARNINGS_MAX][KV_WARNING_SIZE];
};

void kv_warnings_init(struct kv_warnings *warnings,
                      kvstore_warning tell,
                      void *context);
void kv_warnings_destroy(struct kv_warnings *warnings);

/* Notes a text, to be told later; unless the same is noted already. */
void kv_warnings_note(struct kv_warnings *warnings, const char *format, ...)
    KV_PRINTF_LIKE(2, 3);

/* Tells what is noted, with no lock held. Leaves it to the thread that is at it
 * already, which may be this one. The last error stays. */
void kv_warnings_tell(struct kv_warnings *warnings);

#endif
