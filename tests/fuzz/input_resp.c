/* SPDX-License-Identifier: MIT */

/* What the commands of Redis in an input change. */

#include "input_resp.h"

#include "fuzz.h"
#include <kvstore.h>

#include <string.h>
#include <strings.h>

/* Takes a line. Its end is CR LF, or LF alone. False: it has none. */
static bool take_line(struct input_resp *resp, struct line_text *line_out)
{
    char *start = resp->at;
    char *newline = memchr(start, '\n', (size_t)(resp->end - start));

    if (newline == NULL) {
        return false;
    }
    *line_out = (struct line_text){.bytes = (unsigned char *)start,
                                   .size = (size_t)(newline - start)};
    if (newline > start && newline[-1] == '\r') {
        line_out->size--;
    }
    resp->at = newline + 1;
    resp->line++;
    return true;
}

/* Reads a whole number that is all of the text and fits. */
static bool read_number(const struct line_text *text, int64_t *number_out)
{
    bool is_negative = text->size > 0 && text->bytes[0] == '-';
    size_t begin = is_negative ? 1 : 0;
    uint64_t number = 0;

    for (size_t i = begin; i < text->size; i++) {
        unsigned digit = (unsigned)text->bytes[i] - '0';
        if (digit > 9 || number > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *number_out = is_negative ? -(int64_t)number : (int64_t)number;
    return text->size > begin;
}

static bool take_count(struct input_resp *resp,
                       unsigned char mark,
                       int64_t *count_out)
{
    struct line_text line;

    if (!take_line(resp, &line) || line.size == 0 || line.bytes[0] != mark) {
        return false;
    }
    line.bytes++;
    line.size--;
    return read_number(&line, count_out) && *count_out >= 0 &&
           *count_out <= INT32_MAX;
}

static bool take_word(struct input_resp *resp)
{
    int64_t size = 0;

    if (!take_count(resp, '$', &size) || resp->end - resp->at < size + 2 ||
        memcmp(resp->at + size, "\r\n", 2) != 0) {
        return false;
    }
    resp->words[resp->count++] = (struct line_text){
        .bytes = (unsigned char *)resp->at, .size = (size_t)size};
    for (int64_t i = 0; i < size + 2; i++) {
        resp->line += *resp->at++ == '\n' ? 1 : 0;
    }
    return true;
}

/* Takes a command. False: there is none, but the end, or something else. */
static bool take_command(struct input_resp *resp)
{
    int64_t count = 0;
    struct line_text line;

    while (resp->at < resp->end &&
           (*resp->at == '#' || *resp->at == '\n' ||
            (resp->end - resp->at >= 2 && memcmp(resp->at, "\r\n", 2) == 0))) {
        resp->command_line = resp->line;
        if (!take_line(resp, &line)) {
            return false;
        }
    }
    resp->command_line = resp->line;
    resp->count = 0;
    if (resp->at == resp->end || !take_count(resp, '*', &count) || count < 1) {
        return false;
    }
    while (count > 0 && resp->count < INPUT_RESP_WORDS_MAX && take_word(resp)) {
        count--;
    }
    return count == 0;
}

/* --- Meaning --- */

static bool is_word(const struct input_resp *resp, size_t i, const char *name)
{
    return resp->words[i].size == strlen(name) &&
           strncasecmp((const char *)resp->words[i].bytes,
                       name,
                       resp->words[i].size) == 0;
}

/* Reads a time as an expiry; what is past is 1. */
static bool read_time(const struct input_resp *resp,
                      size_t i,
                      int64_t unit_ms,
                      bool is_from_now,
                      int64_t *expires_ms_out)
{
    int64_t start_ms = is_from_now ? kvstore_now_ms() : 0;
    int64_t number = 0;

    if (i >= resp->count || !read_number(&resp->words[i], &number) ||
        number > (KVSTORE_EXPIRES_MAX - start_ms) / unit_ms) {
        return false;
    }
    *expires_ms_out = number < 0 ? 1 : start_ms + number * unit_ms;
    *expires_ms_out += *expires_ms_out == 0 ? 1 : 0;
    return true;
}

static void be_of_key(const struct input_resp *resp,
                      size_t key,
                      enum input_kind kind,
                      struct input_verdict *verdict)
{
    verdict->kind = resp->words[key].size == 0 ? INPUT_BAD : kind;
    verdict->key = resp->words[key];
}

/* SET key value and times. */
static void read_set(const struct input_resp *resp,
                     struct input_verdict *verdict)
{
    for (size_t i = 3; i < resp->count; i++) {
        bool is_from_now = is_word(resp, i, "EX") || is_word(resp, i, "PX");
        bool is_in_s = is_word(resp, i, "EX") || is_word(resp, i, "EXAT");
        if (is_word(resp, i, "KEEPTTL")) {
            verdict->expires_ms = KVSTORE_EXPIRES_KEEP;
            continue;
        }
        if (!is_from_now && !is_in_s && !is_word(resp, i, "PXAT")) {
            return;
        }
        i++;
        if (!read_time(resp,
                       i,
                       is_in_s ? 1000 : 1,
                       is_from_now,
                       &verdict->expires_ms)) {
            return;
        }
    }
    be_of_key(resp, 1, INPUT_SET, verdict);
    verdict->value = resp->words[2];
}

/* The commands of one key. What has no meaning stays bad. */
static void read_one(const struct input_resp *resp,
                     struct input_verdict *verdict)
{
    bool is_setex = is_word(resp, 0, "SETEX");

    if (is_word(resp, 0, "SET") && resp->count >= 3) {
        read_set(resp, verdict);
    } else if ((is_setex || is_word(resp, 0, "PSETEX")) && resp->count == 4) {
        if (read_time(
                resp, 2, is_setex ? 1000 : 1, true, &verdict->expires_ms)) {
            be_of_key(resp, 1, INPUT_SET, verdict);
            verdict->value = resp->words[3];
        }
    } else if ((is_word(resp, 0, "PERSIST") && resp->count == 2) ||
               (is_word(resp, 0, "PEXPIREAT") && resp->count == 3 &&
                read_time(resp, 2, 1, false, &verdict->expires_ms))) {
        be_of_key(resp, 1, INPUT_EXPIRE, verdict);
    }
}

/* Those of several. */
static void read_many(struct input_resp *resp, struct input_verdict *verdict)
{
    bool is_mset = is_word(resp, 0, "MSET");
    size_t at = resp->next == 0 ? 1 : resp->next;
    size_t next = at + (is_mset ? 2 : 1);

    if (is_mset && resp->count % 2 == 0) {
        return;
    }
    be_of_key(resp, at, is_mset ? INPUT_SET : INPUT_REMOVE, verdict);
    if (is_mset) {
        verdict->value = resp->words[at + 1];
    }
    resp->next = next < resp->count ? next : 0;
}

static void read_select(struct input_resp *resp, struct input_verdict *verdict)
{
    int64_t number = 0;

    if (resp->count >= 2 && read_number(&resp->words[1], &number)) {
        resp->is_elsewhere = number != 0;
        verdict->kind = resp->is_elsewhere ? INPUT_BAD : INPUT_NOTHING;
    }
}

bool input_resp_next(struct input_resp *resp, struct input_verdict *verdict_out)
{
    *verdict_out = (struct input_verdict){.kind = INPUT_BAD, .is_of_log = true};
    if (resp->next == 0 && !take_command(resp)) {
        bool is_bad = resp->at < resp->end || resp->count > 0 ||
                      resp->line > resp->command_line;
        resp->at = resp->end;
        resp->count = 0;
        resp->line = resp->command_line;
        return is_bad;
    }
    if (is_word(resp, 0, "SELECT")) {
        read_select(resp, verdict_out);
    } else if (is_word(resp, 0, "MULTI") || is_word(resp, 0, "EXEC")) {
        verdict_out->kind = INPUT_NOTHING;
    } else if (resp->count >= 2 && !resp->is_elsewhere &&
               (is_word(resp, 0, "DEL") || is_word(resp, 0, "UNLINK") ||
                is_word(resp, 0, "MSET"))) {
        read_many(resp, verdict_out);
    } else if (!resp->is_elsewhere) {
        read_one(resp, verdict_out);
    }
    return true;
}
