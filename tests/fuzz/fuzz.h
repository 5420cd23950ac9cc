/* SPDX-License-Identifier: MIT */

/* What the fuzz targets share. A target is a file with a function
 * LLVMFuzzerTestOneInput(): libFuzzer calls it with inputs that it makes up,
 * and replay.c with the inputs that are kept. Implemented in fuzz.c and in the
 * targets. */

#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The names are libFuzzer's. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says which promise is broken, and ends the program by SIGABRT. */
_Noreturn void fuzz_fail(const char *what);
void fuzz_check(bool holds, const char *promise);

/* Notes what was done last, to be printed with a failure. A constant text. */
void fuzz_note(const char *what);

/* Sets a function that clears up before the program ends. */
void fuzz_at_failure(void (*clear_away)(void));

/* Returns memory of exactly this size, so that a sanitizer sees a byte too
 * many. */
void *fuzz_allocate(size_t size);
void *fuzz_copy(const void *bytes, size_t size);

/* Compares runs of bytes; an empty one may be NULL. */
bool fuzz_equal(const void *a, size_t a_size, const void *b, size_t b_size);

#endif
