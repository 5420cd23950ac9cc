/* SPDX-License-Identifier: MIT */

/* What the program puts out: data on standard output, messages on standard
 * error, and its exit status. Foreign text (keys, values, file names) reaches a
 * terminal only through here, so that it cannot control it. Knows no options
 * and no commands. */

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
    CLI_DAMAGED = 6, /* What was requested does not verify. */
    CLI_PARTIAL = 7  /* An import left something out. */
};

/* Of two exit statuses the one that says more: the first of 3, 5, 6, 4, 1, and
 * 0 last. */
int cli_worse(int one, int other);

/* Makes descriptors 0 to 2 safe: one that is closed is opened in such a way
 * that reading or writing it fails, and can no longer become a file of the
 * store. Turns the signal at a limit on file sizes into a failed write. Must be
 * called first. False: that was not possible. */
bool cli_output_init(void);

/* Flushes and closes standard output. Returns the exit status: the one given,
 * or CLI_FAILED if something could not be printed. */
int cli_output_finish(int exit_status);

/* Prints one line on standard error, with "kvstore: " in front. Knows only %s and
 * %.*s, whose text is escaped (control characters, invalid UTF-8, a doubled
 * backslash), and %ju. */
void cli_tell(const char *format, ...) CLI_PRINTF_LIKE;

/* The same about a line of some input: "kvstore: place number: what outcome".
 * What and outcome are trusted text, in which a backslash is one. */
void cli_tell_place(const char *place,
                    uintmax_t number,
                    const char *what,
                    const char *outcome);

/* The same about a key: "kvstore: what: key". */
void cli_tell_key(const char *what, const void *key, size_t size);

/* What standard output is called in messages, if it is a file now. Borrowed. */
void cli_output_name(const char *name);

/* True if something could not be printed, so that it is in vain to go on. */
bool cli_output_has_failed(void);

/* Prints trusted text on standard output, as printf does. A failure is reported
 * once; cli_output_finish() makes it the exit status. */
void cli_print(const char *format, ...) CLI_PRINTF_LIKE;

/* Flushes standard output, so that a message comes after what was printed. */
void cli_flush(void);

/* Prints a value on standard output, byte for byte. False: that failed and was
 * reported. */
bool cli_print_bytes(const void *bytes, size_t size);

/* The same for a terminal: control characters except tab and newline,
 * characters that change the direction of writing, and invalid UTF-8 appear as
 * \xNN, byte by byte. */
bool cli_print_visible(const void *bytes, size_t size);

/* The same for use within a line, as in messages: newlines are escaped, too,
 * and backslashes are doubled. */
bool cli_print_escaped(const void *bytes, size_t size);

/* Prints a key or a value as a field of a line: backslash, tab, newline, carriage
 * return and NUL escaped, on a terminal all that cli_print_visible() escapes,
 * too. */
bool cli_print_field(const void *bytes, size_t size, bool is_visible);

/* True if the bytes are UTF-8 without NUL, so that they can be a JSON
 * string. */
bool cli_is_text(const void *bytes, size_t size);

/* The exit status for a status of the library. */
int cli_exit_status(kvstore_status status);

/* Says in words why the library's last call returned this status. */
const char *cli_reason(kvstore_status status);

#endif
