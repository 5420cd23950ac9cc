/* SPDX-License-Identifier: MIT */

/* How the bytes of a key or a value are written in a line of the log: as a JSON
 * string or as base64 (RFC 8259, RFC 4648, RFC 3629). Strict both ways. Knows
 * nothing of records. Allocates nothing. */

#ifndef KV_RECORD_TEXT_H
#define KV_RECORD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum kv_text_form {
    KV_TEXT_PLAIN,   /* The bytes themselves. */
    KV_TEXT_ESCAPED, /* The inside of a JSON string with escapes. */
    KV_TEXT_BASE64   /* Padded base64. */
};

/* A run of text in a line, checked by a scan, or plain bytes from elsewhere.
 * Borrows the line. */
struct kv_text {
    const char *raw; /* As it is in the line, without quotes. */
    size_t raw_size; /* Bytes of raw. */
    size_t size;     /* Bytes once decoded. */
    enum kv_text_form form;
};

/* Reads a JSON string whose opening quote is just before at. Refuses invalid
 * UTF-8, control characters, wrong escapes and lone surrogates; accepts \u0000.
 * Returns the place just past the closing quote, or NULL if no valid string
 * ends before end. */
const char *kv_text_scan_string(const char *at,
                                const char *end,
                                struct kv_text *text_out);

/* The same for a JSON string that holds strict base64: alphabet, padding and
 * zero unused bits as in RFC 4648, sections 3.5 and 4. */
const char *kv_text_scan_base64(const char *at,
                                const char *end,
                                struct kv_text *text_out);

/* True if [bytes, bytes + size) is strict base64. Then sets text_out. */
bool kv_text_from_base64(const char *bytes,
                         size_t size,
                         struct kv_text *text_out);

/* Bytes as their own plain text. */
struct kv_text kv_text_plain(const void *bytes, size_t size);

/* Decodes the text to out, which has room for text->size bytes. False if it no
 * longer decodes to text->size bytes, because it has changed since the scan.
 * What is in out then has no meaning; nothing past it was written, and nothing
 * past text->raw_size read. */
bool kv_text_decode(const struct kv_text *text, void *out);

/* True if the text decodes to exactly these bytes. It, too, may have
 * changed. */
bool kv_text_equals(const struct kv_text *text, const void *bytes, size_t size);

/* True if the bytes are valid UTF-8 (RFC 3629), as NUL is. */
bool kv_text_is_utf8(const char *bytes, size_t size);

/* The form that the format prescribes for these bytes, and its size: a JSON
 * string if they are UTF-8 without NUL and the string has no more than
 * raw_size_max bytes; else base64. */
struct kv_text_plan {
    enum kv_text_form form; /* Plain, escaped or base64. */
    size_t raw_size;        /* Bytes between the quotes. */
};
struct kv_text_plan kv_text_plan(const void *bytes,
                                 size_t size,
                                 size_t raw_size_max);
struct kv_text_plan kv_text_plan_base64(size_t size);

/* Writes the bytes in the planned form, plan.raw_size bytes, and returns the
 * place after them. */
char *kv_text_encode(struct kv_text_plan plan,
                     const void *bytes,
                     size_t size,
                     char *out);

#endif
