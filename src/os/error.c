/* SPDX-License-Identifier: MIT */

/* Status names, and this thread's last error. */

#include "os/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local kvstore_error last_error = {
    .status = KVSTORE_OK,
    .offset = KV_NO_OFFSET,
};

/* A pair of calls inside another saves the error of a failure that the outer
 * pair may still read, so each needs its own room. Nothing here is recursive:
 * no path through the library nests more than five. */
#define HELD_MAX 8
static _Thread_local kvstore_error held_errors[HELD_MAX];
static _Thread_local unsigned held_count;

static kvstore_status fail(kvstore_status status,
                           int system_errno,
                           uint64_t offset,
                           const char *format,
                           va_list arguments) KV_PRINTF_LIKE(4, 0);

static kvstore_status fail(kvstore_status status,
                           int system_errno,
                           uint64_t offset,
                           const char *format,
                           va_list arguments)
{
    char reason[128] = "";
    if (system_errno != 0 &&
        strerror_r(system_errno, reason, sizeof reason) != 0) {
        (void)snprintf(reason, sizeof reason, "error %d", system_errno);
    }
    last_error.status = status;
    last_error.system_errno = system_errno;
    last_error.offset = offset;

    /* A long text gives way to the reason. */
    size_t room = sizeof last_error.message;
    if (system_errno != 0) {
        room -= strlen(": ") + strlen(reason);
    }
    (void)vsnprintf(last_error.message, room, format, arguments);
    if (system_errno != 0) {
        size_t used = strlen(last_error.message);
        (void)snprintf(last_error.message + used,
                       sizeof last_error.message - used,
                       ": %s",
                       reason);
    }
    return status;
}

kvstore_status kv_fail(kvstore_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(status, 0, KV_NO_OFFSET, format, arguments);
    va_end(arguments);
    return status;
}

kvstore_status kv_fail_at(kvstore_status status,
                          uint64_t offset,
                          const char *format,
                          ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(status, 0, offset, format, arguments);
    va_end(arguments);
    return status;
}

kvstore_status kv_fail_errno(kvstore_status status,
                             int system_errno,
                             const char *format,
                             ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(status, system_errno, KV_NO_OFFSET, format, arguments);
    va_end(arguments);
    return status;
}

kvstore_status kv_fail_as(kvstore_status status)
{
    last_error.status = status;
    return status;
}

void kv_fail_again(const kvstore_error *error)
{
    last_error = *error;
}

/* --- Holding the error --- */

void kv_error_hold(void)
{
    assert(held_count < HELD_MAX);
    held_errors[held_count++] = last_error;
}

void kv_error_release(void)
{
    assert(held_count > 0);
    last_error = held_errors[--held_count];
}

kvstore_status kv_error_release_after(kvstore_status status)
{
    assert(held_count > 0);
    if (status == KVSTORE_OK) {
        kv_error_release();
    } else {
        held_count--;
    }
    return status;
}

bool kv_error_is_held(void)
{
    return held_count > 0;
}

/* --- The public calls --- */

const char *kvstore_strerror(kvstore_status status)
{
    switch (status) {
    case KVSTORE_OK:
        return "success";
    case KVSTORE_NOT_FOUND:
        return "key not found";
    case KVSTORE_INVALID_KEY:
        return "a key must have 1 to 65535 bytes";
    case KVSTORE_INVALID:
        return "invalid argument";
    case KVSTORE_TOO_LARGE:
        return "too large";
    case KVSTORE_IO:
        return "input/output error";
    case KVSTORE_BAD_JSON:
        return "not a record";
    case KVSTORE_CORRUPT:
        return "damaged record";
    case KVSTORE_COMPACTION_FAILED:
        return "compaction failed, the log is as it was";
    case KVSTORE_NO_MEMORY:
        return "out of memory";
    case KVSTORE_BUSY:
        return "busy";
    case KVSTORE_READ_ONLY:
        return "opened read-only";
    case KVSTORE_CONFLICT:
        return "condition not met";
    case KVSTORE_UNSUPPORTED:
        return "not supported";
    }
    return "unknown status";
}

const kvstore_error *kvstore_last_error(void)
{
    return &last_error;
}
