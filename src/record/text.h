/* SPDX-License-Identifier: MIT */

/* How the bytes of a key or a value are read from a line of the log: a JSON
 * string or base64 (RFC 8259, RFC 4648, RFC 3629). Strict. Knows nothing of
 * records. Allocates nothing. */

#ifndef KV_RECORD_TEXT_H
#define KV_RECORD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum kv_text_form {
    KV_TEXT_PLAIN,   /* The bytes themselves. */
    KV_TEXT_ESCAPED, /* A JSON string's inside with escapes. */
    KV_TEXT_BASE64   /* Padded base64. */
};

/* A run of text in a line, checked by a scan, or plain bytes from elsewhere.
 * Borrows the line. */
struct kv_text {
    const char *raw; /* As it stands there, without quotes. */
    size_t raw_size; /* Bytes of that. */
    size_t size;     /* Bytes of what it means. */
    enum kv_text_form form;
};

/* Reads a JSON string whose opening quote stands just before at. Refuses
 * invalid UTF-8, control characters, wrong escapes and lone surrogates; takes
 * \u0000. Returns the place just past the closing quote, or NULL where there is
 * no valid string before end. */
const char *kv_text_scan_string(const char *at,
                                const char *end,
                                struct kv_text *text_out);

/* The same for a JSON string that holds strict base64: alphabet, padding and
 * zero unused bits as RFC 4648 sections 3.5 and 4 have it. */
const char *kv_text_scan_base64(const char *at,
                                const char *end,
                                struct kv_text *text_out);

/* Is [bytes, bytes + size) strict base64? Sets text_out if so. */
bool kv_text_from_base64(const char *bytes,
                         size_t size,
                         struct kv_text *text_out);

/* Bytes as their own plain text. */
struct kv_text kv_text_plain(const void *bytes, size_t size);

/* Writes what the text means to out, which holds text->size bytes. False where
 * it does not mean text->size bytes any more: its bytes have changed since they
 * were scanned. What is in out is then without meaning; nothing past it was
 * written, and nothing past text->raw_size read. */
bool kv_text_decode(const struct kv_text *text, void *out);

/* True if the text means exactly these bytes. Its own may have changed, too. */
bool kv_text_equals(const struct kv_text *text, const void *bytes, size_t size);

#endif
