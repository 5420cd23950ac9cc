/* SPDX-License-Identifier: MIT */

/* What the files in stores/ share, and the list of them, whose names CMake
 * writes into bench_stores.inc. */

#include "store.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_OF_STORES(name) extern const struct bench_store *const name[];
#include "bench_stores.inc"
#undef FILE_OF_STORES

/* Each file's table ends in NULL, as this list does. */
static const struct bench_store *const *const store_files[] = {
#define FILE_OF_STORES(name) name,
#include "bench_stores.inc"
#undef FILE_OF_STORES
    NULL};

const struct bench_store *bench_store_at(size_t number)
{
    for (size_t i = 0; store_files[i] != NULL; i++) {
        size_t count = 0;
        while (store_files[i][count] != NULL && count < number) {
            count++;
        }
        if (store_files[i][count] != NULL) {
            return store_files[i][count];
        }
        number -= count;
    }
    return NULL;
}

static pthread_mutex_t failure_lock = PTHREAD_MUTEX_INITIALIZER;
static char failure[200];

static void keep_first(const char *format, va_list arguments)
{
    (void)pthread_mutex_lock(&failure_lock);
    if (failure[0] == '\0') {
        (void)vsnprintf(failure, sizeof failure, format, arguments);
    }
    (void)pthread_mutex_unlock(&failure_lock);
}

bool bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep_first(format, arguments);
    va_end(arguments);
    return false;
}

const char *bench_failure(void)
{
    return failure[0] != '\0' ? failure : NULL;
}

void bench_forget_failure(void)
{
    failure[0] = '\0';
}

const char *bench_version(int major, int minor, int patch)
{
    static char text[40];
    (void)snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

bool bench_path(char *path_out, size_t size, const char *dir, const char *file)
{
    int length = snprintf(path_out, size, "%s/%s", dir, file);
    if (length < 0 || (size_t)length >= size) {
        return bench_fail("the path of %s is too long", file);
    }
    return true;
}

enum bench_answer bench_take_value(const void *value,
                                   size_t size,
                                   char *value_out)
{
    if (size != BENCH_VALUE_SIZE) {
        bench_fail("a value of %zu bytes", size);
        return BENCH_FAILED;
    }
    memcpy(value_out, value, BENCH_VALUE_SIZE);
    return BENCH_FOUND;
}

uint64_t bench_cache_bytes(const struct bench_settings *settings)
{
    const uint64_t least = 64u << 20;
    uint64_t bytes = settings->keys * 256;
    return bytes > least ? bytes : least;
}
