/* SPDX-License-Identifier: MIT */

/* Status names, and this thread's last error. The place that first sees a
 * failure describes it here, once; every caller above passes the status up. */

#ifndef KV_OS_ERROR_H
#define KV_OS_ERROR_H

#include "kvstore.h"

#include <stdbool.h>
#include <stdint.h>

#define KV_NO_OFFSET UINT64_MAX

#if defined(__GNUC__)
#define KV_PRINTF_LIKE(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#else
#define KV_PRINTF_LIKE(format_index, first_index)
#endif

/* Fills this thread's last error and returns status, which is a failure.
 * The message names files and places, never keys or values. */
kvstore_status kv_fail(kvstore_status status, const char *format, ...)
    KV_PRINTF_LIKE(2, 3);

/* The same for a place in the log. */
kvstore_status kv_fail_at(kvstore_status status,
                          uint64_t offset,
                          const char *format,
                          ...) KV_PRINTF_LIKE(3, 4);

/* The same for a failed system call: appends the text of system_errno. */
kvstore_status kv_fail_errno(kvstore_status status,
                             int system_errno,
                             const char *format,
                             ...) KV_PRINTF_LIKE(3, 4);

/* Gives the last error another status and keeps the rest: for the few places
 * where a failure means something else to the caller. */
kvstore_status kv_fail_as(kvstore_status status);

/* Makes an error that another thread met on behalf of this one the last error
 * here. */
void kv_fail_again(const kvstore_error *error);

/* What fails between the two leaves no trace: the release puts back the error
 * that was the last at the hold. For clean-ups, and for attempts that may fail.
 * Pairs nest, and each hold has its release on every path. */
void kv_error_hold(void);
void kv_error_release(void);

/* Releases by the outcome of what was attempted: puts the held error back only
 * if status is a success; a failure is the last error from now on. Returns
 * status. */
kvstore_status kv_error_release_after(kvstore_status status);

/* True if this thread is between a hold and its release. At the end of a public
 * call it is not. */
bool kv_error_is_held(void);

#endif
