/* SPDX-License-Identifier: MIT */

/* How keys and values are printed. JSON is laid out by what lays out the lines
 * of the log, so both have the same escapes, and base64 for the same bytes. */

#include "cli/format.h"

#include "cli/output.h"
#include "record/sum.h"
#include "record/text_plan.h"
#include <kvstore.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A string that would be longer is base64: so a line has less than the 2^31
 * bytes that import reads. */
#define STRING_SIZE_MAX (((size_t)1 << 31) - ((size_t)1 << 20))

/* More than all that is in a line besides key and value. */
#define FRAME_SIZE_MAX ((size_t)256)

static int result_of(bool is_printed)
{
    return is_printed ? CLI_DONE : CLI_FAILED;
}

static bool print_plain(const struct cli_format *format,
                        const void *bytes,
                        size_t size)
{
    return format->is_visible ? cli_print_visible(bytes, size)
                              : cli_print_bytes(bytes, size);
}

static bool print_newline(void)
{
    return cli_print_bytes("\n", 1);
}

/* Prints the key of a line. If it begins with the mark that import leaves out at
 * the beginning of a file, that is escaped, so that it is read again. */
static bool print_line_key(const struct cli_format *format,
                           const struct cli_entry *entry)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t mark_size = sizeof(mark) - 1;
    bool has_mark = entry->event == NULL && entry->key_size >= mark_size &&
                    memcmp(entry->key, mark, mark_size) == 0;
    size_t begin = has_mark ? mark_size : 0;

    if (has_mark && !cli_print_bytes("\\xef\\xbb\\xbf", 4 * mark_size)) {
        return false;
    }
    return cli_print_field((const char *)entry->key + begin,
                           entry->key_size - begin,
                           format->is_visible);
}

static bool print_line(const struct cli_format *format,
                       const struct cli_entry *entry)
{
    bool is_visible = format->is_visible;
    bool is_printed = true;

    if (entry->event != NULL) {
        is_printed = cli_print_bytes(entry->event, strlen(entry->event)) &&
                     (entry->key == NULL || cli_print_bytes("\t", 1));
    }
    if (is_printed && entry->key != NULL) {
        is_printed = print_line_key(format, entry);
    }
    if (is_printed && entry->value != NULL) {
        is_printed =
            cli_print_bytes("\t", 1) &&
            cli_print_field(entry->value, entry->value_size, is_visible);
    }
    return is_printed && print_newline();
}

static bool has_nul(const void *bytes, size_t size)
{
    return size > 0 && memchr(bytes, '\0', size) != NULL;
}

static int print_nul(const struct cli_format *format,
                     const struct cli_entry *entry)
{
    bool is_of_key = has_nul(entry->key, entry->key_size);

    if (is_of_key || has_nul(entry->value, entry->value_size)) {
        cli_flush();
        cli_tell_key(is_of_key ? "left out, since this key has a NUL byte"
                               : "left out, since its value has a NUL byte",
                     entry->key,
                     entry->key_size);
        return CLI_FAILED;
    }
    return result_of(print_plain(format, entry->key, entry->key_size) &&
                     cli_print_bytes("", 1) &&
                     (entry->value == NULL ||
                      (print_plain(format, entry->value, entry->value_size) &&
                       cli_print_bytes("", 1))));
}

/* Makes room for so many bytes. False: there is no memory, which was reported. */
static bool reserve(struct cli_format *format, size_t size)
{
    if (size <= format->capacity) {
        return true;
    }
    size_t capacity = size < 2 * format->capacity ? 2 * format->capacity : size;
    char *buffer = realloc(format->buffer, capacity);
    if (buffer == NULL) {
        cli_tell("out of memory");
        return false;
    }
    format->buffer = buffer;
    format->capacity = capacity;
    return true;
}

static char *put(char *out, const char *text)
{
    size_t size = strlen(text);

    memcpy(out, text, size);
    return out + size;
}

/* Writes a member of an object; the first name is for a string, the other one
 * for base64. */
static char *put_member(char *out,
                        const char *const names[2],
                        struct kv_text_plan plan,
                        const void *bytes,
                        size_t size)
{
    out = put(out, plan.form == KV_TEXT_BASE64 ? names[1] : names[0]);
    out = kv_text_encode(plan, bytes, size, out);
    return put(out, "\"");
}

static char *put_expiry(char *out, const struct cli_entry *entry)
{
    if (entry->expires_ms <= 0) {
        return out;
    }
    return out + snprintf(out,
                          FRAME_SIZE_MAX / 2,
                          ",\"expires\":%" PRId64,
                          entry->expires_ms);
}

/* Lays out the members of an object. Returns the place after them, or NULL. */
static char *put_members(struct cli_format *format,
                         const struct cli_entry *entry,
                         const char *head,
                         const char *const value_names[2])
{
    static const char *const key_names[2] = {"\"key\":\"", "\"key64\":\""};
    struct kv_text_plan key = kv_text_plan(
        entry->key == NULL ? "" : entry->key, entry->key_size, STRING_SIZE_MAX);
    struct kv_text_plan value =
        kv_text_plan(entry->value == NULL ? "" : entry->value,
                     entry->value_size,
                     STRING_SIZE_MAX);

    if (!reserve(format, FRAME_SIZE_MAX + key.raw_size + value.raw_size)) {
        return NULL;
    }
    char *out = put(format->buffer, head);
    if (entry->key != NULL) {
        out = put_member(out, key_names, key, entry->key, entry->key_size);
    }
    if (entry->value != NULL) {
        out = put_member(
            out, value_names, value, entry->value, entry->value_size);
    }
    return put_expiry(out, entry);
}

static bool print_json(struct cli_format *format, const struct cli_entry *entry)
{
    static const char *const names[2] = {",\"value\":\"", ",\"value64\":\""};
    char head[FRAME_SIZE_MAX / 2] = "{";

    if (entry->event != NULL) {
        (void)snprintf(head,
                       sizeof(head),
                       "{\"event\":\"%s\"%s",
                       entry->event,
                       entry->key == NULL ? "" : ",");
    }
    char *end = put_members(format, entry, head, names);
    if (end == NULL) {
        return false;
    }
    end = put(end, "}\n");
    return print_plain(format, format->buffer, (size_t)(end - format->buffer));
}

static bool print_log(struct cli_format *format, const struct cli_entry *entry)
{
    static const char *const names[2] = {",\"val\":\"", ",\"val64\":\""};

    char *end = put_members(format, entry, "{\"Set\":{", names);
    if (end == NULL) {
        return false;
    }
    end = put(kv_record_put_sum(format->buffer, end), "\n");
    return print_plain(format, format->buffer, (size_t)(end - format->buffer));
}

/* Prints a bulk string. */
static bool print_bulk(const struct cli_format *format,
                       const void *bytes,
                       size_t size)
{
    char head[32];
    int head_size = snprintf(head, sizeof(head), "$%zu\r\n", size);

    return cli_print_bytes(head, (size_t)head_size) &&
           print_plain(format, bytes, size) && cli_print_bytes("\r\n", 2);
}

static bool print_words(const struct cli_format *format,
                        const struct cli_entry *entry,
                        const char *head)
{
    return cli_print_bytes(head, strlen(head)) &&
           print_bulk(format, entry->key, entry->key_size) &&
           (entry->value == NULL ||
            print_bulk(format, entry->value, entry->value_size));
}

static bool print_resp(const struct cli_format *format,
                       const struct cli_entry *entry)
{
    char moment[32];

    if (entry->value == NULL) {
        return print_words(format, entry, "*2\r\n$3\r\nDEL\r\n");
    }
    if (entry->expires_ms <= 0) {
        return print_words(format, entry, "*3\r\n$3\r\nSET\r\n");
    }
    int size = snprintf(moment, sizeof(moment), "%" PRId64, entry->expires_ms);
    return print_words(format, entry, "*5\r\n$3\r\nSET\r\n") &&
           print_bulk(format, "PXAT", 4) &&
           print_bulk(format, moment, (size_t)size);
}

struct cli_format cli_format_of(enum cli_form form)
{
    return (struct cli_format){.form = form,
                               .is_visible = isatty(STDOUT_FILENO) == 1};
}

void cli_format_release(struct cli_format *format)
{
    free(format->buffer);
    *format = (struct cli_format){0};
}

int cli_format_print(struct cli_format *format, const struct cli_entry *entry)
{
    assert(entry->key != NULL || entry->event != NULL);
    switch (format->form) {
    case CLI_FORM_RAW:
        return result_of(cli_print_bytes(entry->value, entry->value_size));
    case CLI_FORM_VALUE:
        return result_of(print_plain(format, entry->value, entry->value_size) &&
                         print_newline());
    case CLI_FORM_KEY:
        return result_of(print_plain(format, entry->key, entry->key_size) &&
                         print_newline());
    case CLI_FORM_LINE:
        return result_of(print_line(format, entry));
    case CLI_FORM_NUL:
        return print_nul(format, entry);
    case CLI_FORM_JSON:
        return result_of(print_json(format, entry));
    case CLI_FORM_LOG:
        return result_of(print_log(format, entry));
    case CLI_FORM_RESP:
        return result_of(print_resp(format, entry));
    }
    return CLI_FAILED;
}
