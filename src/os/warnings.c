/* SPDX-License-Identifier: MIT */

/* The queue of warnings of a handle.
 *
 * Invariants:
 * 1. No lock of the library is held while the program is told: it may call the
 *    library, and may wait for a thread that does.
 * 2. One thread at a time tells, so the program is never told within a call
 *    that it makes while it is told. */

#include "os/warnings.h"

#include "os/cancel.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What others note while one thread tells is told by that one, but not for
 * ever. */
#define TOLD_AT_ONCE_MAX 16

void kv_warnings_init(struct kv_warnings *warnings,
                      kvstore_warning tell,
                      void *context)
{
    warnings->tell = tell;
    warnings->context = context;
    warnings->is_telling = false;
    warnings->count = 0;
    atomic_init(&warnings->are_due, false);
    (void)pthread_mutex_init(&warnings->mutex, NULL);
}

void kv_warnings_destroy(struct kv_warnings *warnings)
{
    (void)pthread_mutex_destroy(&warnings->mutex);
}

static bool is_noted(const struct kv_warnings *warnings, const char *text)
{
    bool is_there = false;
    for (unsigned i = 0; i < warnings->count; i++) {
        is_there |= strcmp(warnings->texts[i], text) == 0;
    }
    return is_there;
}

static void note_text(struct kv_warnings *warnings,
                      const char *format,
                      va_list arguments) KV_PRINTF_LIKE(2, 0);

static void note_text(struct kv_warnings *warnings,
                      const char *format,
                      va_list arguments)
{
    char text[KV_WARNING_SIZE];
    (void)vsnprintf(text, sizeof text, format, arguments);
    (void)pthread_mutex_lock(&warnings->mutex);
    if (warnings->count < KV_WARNINGS_MAX && !is_noted(warnings, text)) {
        memcpy(warnings->texts[warnings->count++], text, sizeof text);
        atomic_store(&warnings->are_due, true);
    }
    (void)pthread_mutex_unlock(&warnings->mutex);
}

void kv_warnings_note(struct kv_warnings *warnings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (warnings->tell != NULL) {
        note_text(warnings, format, arguments);
    }
    va_end(arguments);
}

/* Takes the text that was noted first. False: there is none, or another thread
 * tells. */
static bool begin_telling(struct kv_warnings *warnings,
                          char text[KV_WARNING_SIZE])
{
    (void)pthread_mutex_lock(&warnings->mutex);
    bool begins = !warnings->is_telling && warnings->count > 0;
    if (begins) {
        warnings->is_telling = true;
        memcpy(text, warnings->texts[0], KV_WARNING_SIZE);
        warnings->count--;
        memmove(warnings->texts[0],
                warnings->texts[1],
                warnings->count * (size_t)KV_WARNING_SIZE);
        atomic_store(&warnings->are_due, warnings->count > 0);
    }
    (void)pthread_mutex_unlock(&warnings->mutex);
    return begins;
}

static void end_telling(struct kv_warnings *warnings)
{
    (void)pthread_mutex_lock(&warnings->mutex);
    warnings->is_telling = false;
    (void)pthread_mutex_unlock(&warnings->mutex);
}

void kv_warnings_tell(struct kv_warnings *warnings)
{
    char text[KV_WARNING_SIZE];
    kvstore_error error = *kvstore_last_error();
    int cancel = kv_cancel_hold();
    for (int i = 0; i < TOLD_AT_ONCE_MAX && begin_telling(warnings, text);
         i++) {
        warnings->tell(warnings->context, text);
        end_telling(warnings);
    }
    kv_cancel_release(cancel);
    kv_fail_again(&error);
}
