/* SPDX-License-Identifier: MIT */

/* Failures and memory of the fuzz targets. */

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *noted = "nothing";
static void (*to_clear_away)(void);

void fuzz_note(const char *what)
{
    noted = what;
}

void fuzz_at_failure(void (*clear_away)(void))
{
    to_clear_away = clear_away;
}

_Noreturn void fuzz_fail(const char *what)
{
    (void)fprintf(stderr, "broken promise: %s (after: %s)\n", what, noted);
    if (to_clear_away != NULL) {
        to_clear_away();
    }
    abort();
}

void fuzz_check(bool holds, const char *promise)
{
    if (!holds) {
        fuzz_fail(promise);
    }
}

void *fuzz_allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL && size > 0) {
        fuzz_fail("there is memory for the harness");
    }
    return memory;
}

void *fuzz_copy(const void *bytes, size_t size)
{
    void *copy = fuzz_allocate(size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

bool fuzz_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}
