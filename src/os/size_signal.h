/* SPDX-License-Identifier: MIT */

/* At its limit on file sizes a process gets SIGXFSZ, which would kill a host
 * program. The signal is sent to the thread that writes, so it can be blocked
 * and consumed there: the call then fails with EFBIG. */

#ifndef KV_OS_SIZE_SIGNAL_H
#define KV_OS_SIZE_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

struct kv_size_signal {
    sigset_t size_signal;
    sigset_t old_mask;
    bool was_pending;
};

/* Around a call that makes a file larger; the release keeps errno. */
void kv_size_signal_hold(struct kv_size_signal *held);
void kv_size_signal_release(const struct kv_size_signal *held, bool has_failed);

#endif
