/* SPDX-License-Identifier: MIT */

/* Cancellation of threads (pthread_cancel). A thread that ended in the middle of
 * a call would leave its locks to nobody, so it is held off until the call is
 * over. */

#ifndef KV_OS_CANCEL_H
#define KV_OS_CANCEL_H

#include <pthread.h>

/* Each hold has its release, which takes what it has returned. Pairs nest. */
static inline int kv_cancel_hold(void)
{
    int before = PTHREAD_CANCEL_ENABLE;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void kv_cancel_release(int before)
{
    int held = PTHREAD_CANCEL_DISABLE;
    (void)pthread_setcancelstate(before, &held);
}

#endif
