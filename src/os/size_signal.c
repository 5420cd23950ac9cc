/* SPDX-License-Identifier: MIT */

/* A write past the limit on file sizes fails with EFBIG, and sends its thread
 * SIGXFSZ, which would end the program. It is held back, and what this thread has
 * caused taken from what is pending. */

#include "os/size_signal.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

void kv_size_signal_hold(struct kv_size_signal *held)
{
    sigset_t pending;
    sigemptyset(&held->size_signal);
    sigaddset(&held->size_signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &held->size_signal, &held->old_mask);
    sigpending(&pending);
    held->was_pending = sigismember(&pending, SIGXFSZ) == 1;
}

void kv_size_signal_release(const struct kv_size_signal *held, bool has_failed)
{
    int call_errno = errno;
    if (has_failed && call_errno == EFBIG && !held->was_pending) {
        static const struct timespec no_wait = {0};
        (void)sigtimedwait(&held->size_signal, NULL, &no_wait);
    }
    pthread_sigmask(SIG_SETMASK, &held->old_mask, NULL);
    errno = call_errno;
}
