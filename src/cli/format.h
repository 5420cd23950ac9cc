/* SPDX-License-Identifier: MIT */

/* How keys and values are printed: a value alone, lines of key and value, NUL
 * bytes, JSON, lines of a log, commands of Redis. On a terminal in a form that
 * cannot control it, elsewhere to the byte. Knows neither commands nor the
 * store. */

#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_form {
    CLI_FORM_RAW,   /* The value, and nothing else. */
    CLI_FORM_VALUE, /* The value and a newline. */
    CLI_FORM_KEY,   /* The key and a newline. */
    CLI_FORM_LINE,  /* Key, tab, value, newline; \\ \t \n \r \x00 escaped, and a
                       byte order mark that the key begins with. */
    CLI_FORM_NUL,   /* Each of key and value with a NUL after it. */
    CLI_FORM_JSON,  /* An object a line: key, value, expires. */
    CLI_FORM_LOG,   /* The line of a log that sets it. */
    CLI_FORM_RESP   /* The command of Redis that sets it, or removes it. */
};

/* A key, and its value unless that is NULL. */
struct cli_entry {
    const void *key; /* NULL: there is none, but an event. */
    size_t key_size;
    const void *value;
    size_t value_size;
    int64_t expires_ms; /* 0: never. */
    const char *event;  /* What has happened, for LINE and JSON; or NULL. */
};

/* How entries are printed. */
struct cli_format {
    enum cli_form form;
    bool is_visible; /* For a terminal. */
    char *buffer;    /* Holds what is being printed. */
    size_t capacity;
};

/* Called when standard output is where it stays. Released with
 * cli_format_release(). */
struct cli_format cli_format_of(enum cli_form form);

void cli_format_release(struct cli_format *format);

/* Prints an entry. Returns the exit status: CLI_FAILED if that could not be
 * done, or if the entry cannot be told in this form, both of which were
 * reported. cli_output_has_failed() says whether to go on. */
int cli_format_print(struct cli_format *format, const struct cli_entry *entry);

#endif
