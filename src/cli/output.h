/* SPDX-License-Identifier: MIT */

/* What the program tells the world: data on standard output, messages on
 * standard error, and its exit status. Text of others (keys, values, file
 * names) reaches a terminal only through here, so that it cannot command it.
 * Knows no options and no commands. */

#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define CLI_PRINTF_LIKE __attribute__((format(printf, 1, 2)))
#else
#define CLI_PRINTF_LIKE
#endif

/* The exit statuses: a contract with scripts, so the numbers never change. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_NOT_FOUND = 1,
    CLI_USAGE = 2,    /* Also an empty or oversized key. */
    CLI_FAILED = 3,   /* Input, output, permission, space, no store. */
    CLI_CONFLICT = 4, /* A condition was not met. */
    CLI_BUSY = 5,
    CLI_DAMAGED = 6, /* What was asked for does not verify. */
    CLI_PARTIAL = 7  /* An import left something out. */
};

/* Makes descriptors 0 to 2 safe: one that is closed is opened such that
 * reading or writing it fails, and can no longer become a file of the store.
 * Makes a failed write of the limit on file sizes. Comes before everything
 * else. False: that was not possible. */
bool cli_output_init(void);

/* Brings what was printed out and closes standard output. Returns the exit
 * status: the one given, or CLI_FAILED where something could not be printed. */
int cli_output_finish(int exit_status);

/* Says one line on standard error, "kvstore: " in front. Knows only %s, whose
 * text is escaped (control characters, invalid UTF-8, a doubled backslash),
 * and %ju. */
void cli_tell(const char *format, ...) CLI_PRINTF_LIKE;

/* Prints trusted text on standard output, as printf does. A failure is told
 * once; cli_output_finish() makes it the exit status. */
void cli_print(const char *format, ...) CLI_PRINTF_LIKE;

/* Brings out what was printed, so that a message comes behind it. */
void cli_flush(void);

/* Prints a value on standard output: its bytes as they are. False: that failed
 * and was told. */
bool cli_print_bytes(const void *bytes, size_t size);

/* The same for a terminal: control characters but tab and newline, those that
 * change the direction of writing, and invalid UTF-8 appear as \xNN, byte by
 * byte. */
bool cli_print_visible(const void *bytes, size_t size);

/* The same for a place within a line, as messages have it: no newline either, and
 * backslashes are doubled. */
bool cli_print_escaped(const void *bytes, size_t size);

/* Are the bytes UTF-8 without NUL, so that they can be a JSON string? */
bool cli_is_text(const void *bytes, size_t size);

/* The exit status that stands for a status of the library. */
int cli_exit_status(kvstore_status status);

/* Why the library's last call returned this status, in words. */
const char *cli_reason(kvstore_status status);

#endif
