/* SPDX-License-Identifier: MIT */

/* Reads a record from a line of key, tab and value. */

#include "cli/read_tsv.h"

#include <stdbool.h>
#include <string.h>

/* The value of a hexadecimal digit, or -1. */
static int digit_of(char byte)
{
    static const char digits[] = "0123456789abcdef";
    static const char capitals[] = "0123456789ABCDEF";
    const char *found = byte == '\0' ? NULL : strchr(digits, byte);

    if (found != NULL) {
        return (int)(found - digits);
    }
    found = byte == '\0' ? NULL : strchr(capitals, byte);
    return found == NULL ? -1 : (int)(found - capitals);
}

/* Reads the escape whose backslash is at this place. Returns how many bytes it
 * has, or 0 if it is none. */
static size_t read_escape(const char *at, const char *end, char *byte_out)
{
    static const char letters[] = "\\tnr";
    static const char bytes[] = "\\\t\n\r";
    size_t left = (size_t)(end - at);
    const char *found =
        left < 2 || at[1] == '\0' ? NULL : strchr(letters, at[1]);

    if (found != NULL) {
        *byte_out = bytes[found - letters];
        return 2;
    }
    if (left < 4 || at[1] != 'x') {
        return 0;
    }
    int high = digit_of(at[2]);
    int low = digit_of(at[3]);
    *byte_out = (char)(high * 16 + low);
    return high < 0 || low < 0 ? 0 : 4;
}

/* Decodes a field in place. False: a backslash is none of an escape. */
static bool decode(char *field, size_t *size)
{
    const char *end = field + *size;
    const char *at = memchr(field, '\\', *size);
    char *out = field + (at == NULL ? (ptrdiff_t)*size : at - field);

    while (at != NULL && at < end) {
        size_t used = *at == '\\' ? read_escape(at, end, out) : 1;
        if (used == 0) {
            return false;
        }
        if (used == 1) {
            *out = *at;
        }
        at += used;
        out++;
    }
    *size = (size_t)(out - field);
    return true;
}

const char *cli_read_tsv(char *line, size_t size, struct cli_change *change_out)
{
    /* Ours are escaped: this one is of a file with CR LF. */
    size -= size > 0 && line[size - 1] == '\r' ? 1 : 0;
    if (size == 0) {
        *change_out = (struct cli_change){.kind = CLI_CHANGE_NOTHING};
        return NULL;
    }
    char *tab = memchr(line, '\t', size);
    if (tab == NULL) {
        return "there is no tab between key and value";
    }
    char *value = tab + 1;
    size_t key_size = (size_t)(tab - line);
    size_t value_size = size - key_size - 1;
    if (memchr(value, '\t', value_size) != NULL) {
        return "there is a second tab: one in a value is \\t";
    }
    if (!decode(line, &key_size) || !decode(value, &value_size)) {
        return "a backslash is none of \\\\ \\t \\n \\r \\xNN";
    }
    *change_out = (struct cli_change){.kind = CLI_CHANGE_SET,
                                      .key = line,
                                      .key_size = key_size,
                                      .value = value,
                                      .value_size = value_size};
    return cli_change_check_sizes(key_size, value_size);
}
