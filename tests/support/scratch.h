/* SPDX-License-Identifier: MIT */

/* A directory on the fastest file system there is, for tests that lay out
 * thousands of stores. Plain system calls: what is tested stays out of it. A
 * call that fails ends the program. */

#ifndef SCRATCH_H
#define SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_PATH_SIZE 256

/* Makes a fresh directory: in KVSTORE_TEST_DIR, else on the memory file system
 * /dev/shm, else in TMPDIR or /tmp. */
void scratch_make(char path_out[SCRATCH_PATH_SIZE]);

/* Removes a directory with all that is in it. A missing one is fine. */
void scratch_remove(const char *path);

/* Removes what is in it, and makes it if it is absent. */
void scratch_empty(const char *path);

/* Whole files, by directory and name. The caller frees what is read; one NUL
 * follows. An absent file reads as NULL. */
void scratch_write(const char *directory,
                   const char *name,
                   const void *bytes,
                   size_t size);
char *scratch_read(const char *directory, const char *name, size_t *size_out);
bool scratch_has(const char *directory, const char *name);

/* Calls back for each name in a directory. */
typedef void (*scratch_visit)(void *context, const char *name);
void scratch_list(const char *directory, scratch_visit visit, void *context);

/* Prints what went wrong and ends the program. */
_Noreturn void scratch_die(const char *what);

/* Returns an unsigned number from the environment, or a default. */
unsigned long scratch_number(const char *variable, unsigned long otherwise);

#endif
