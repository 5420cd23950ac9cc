/* SPDX-License-Identifier: MIT */

/* Reads the commands of Redis. A command of several keys gives one change for
 * each, one after the other. */

#include "cli/read_resp.h"

#include "cli/output.h"
#include <kvstore.h>

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* More words than any command of a journal has, and than fit in memory of a
 * small machine by mistake. */
#define WORDS_MAX ((int64_t)1 << 20)

static const char cut[] = "the input ends within a command";
static const char no_command[] =
    "it is no command as an append-only file has them, an array of bulk "
    "strings; nothing from there on is read";
static const char no_number[] = "it has no number where one must be";

static bool parse_number(const char *at, size_t size, int64_t *number_out)
{
    bool is_negative = size > 0 && at[0] == '-';
    int64_t number = 0;
    size_t i = is_negative ? 1 : 0;

    if (i == size) {
        return false;
    }
    for (; i < size; i++) {
        int digit = at[i] - '0';
        if (digit < 0 || digit > 9 || number > (INT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *number_out = is_negative ? -number : number;
    return true;
}

/* Takes a line that ends in CR LF, or in LF alone. */
static enum cli_piece take_line(struct cli_lines *lines,
                                char **line_out,
                                size_t *size_out)
{
    enum cli_piece piece = cli_lines_next(lines, '\n', line_out, size_out);

    if (piece == CLI_PIECE && *size_out > 0 &&
        (*line_out)[*size_out - 1] == '\r') {
        (*size_out)--;
    }
    return piece;
}

/* Takes a head such as $5. */
static enum cli_piece take_head(struct cli_lines *lines,
                                char mark,
                                int64_t most,
                                int64_t *number_out)
{
    char *line = NULL;
    size_t size = 0;
    enum cli_piece piece = take_line(lines, &line, &size);

    if (piece == CLI_PIECE && (size == 0 || line[0] != mark ||
                               !parse_number(line + 1, size - 1, number_out) ||
                               *number_out < 0 || *number_out > most)) {
        return CLI_PIECE_LONG;
    }
    return piece == CLI_PIECE_NONE ? CLI_PIECE_CUT : piece;
}

static bool add_word(struct cli_resp *resp, const char *bytes, size_t size)
{
    if (resp->count == resp->word_capacity) {
        size_t capacity = resp->word_capacity * 2 + 8;
        struct cli_word *words =
            realloc(resp->words, capacity * sizeof(*resp->words));
        if (words == NULL) {
            return false;
        }
        resp->words = words;
        resp->word_capacity = capacity;
    }
    /* A NUL after each, so that words can be compared. */
    if (resp->size + size + 1 > resp->capacity) {
        size_t capacity = (resp->size + size + 1) * 2;
        char *grown = realloc(resp->bytes, capacity);
        if (grown == NULL) {
            return false;
        }
        resp->bytes = grown;
        resp->capacity = capacity;
    }
    memcpy(resp->bytes + resp->size, bytes, size);
    resp->bytes[resp->size + size] = '\0';
    resp->words[resp->count++] = (struct cli_word){resp->size, size};
    resp->size += size + 1;
    return true;
}

static enum cli_piece read_words(struct cli_resp *resp,
                                 struct cli_lines *lines,
                                 int64_t count)
{
    resp->count = 0;
    resp->size = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t size = 0;
        char *bytes = NULL;
        enum cli_piece piece =
            take_head(lines, '$', (int64_t)CLI_LINE_SIZE_MAX - 2, &size);
        if (piece == CLI_PIECE) {
            piece = cli_lines_take(lines, (size_t)size + 2, &bytes);
        }
        if (piece != CLI_PIECE) {
            return piece == CLI_PIECE_NONE ? CLI_PIECE_CUT : piece;
        }
        if (memcmp(bytes + size, "\r\n", 2) != 0) {
            return CLI_PIECE_LONG;
        }
        if (!add_word(resp, bytes, (size_t)size)) {
            cli_tell("out of memory");
            return CLI_PIECE_FAILED;
        }
    }
    return CLI_PIECE;
}

/* Reads the next command. CLI_PIECE_LONG: there is something else. */
static enum cli_piece read_command(struct cli_resp *resp,
                                   struct cli_lines *lines)
{
    char *line = NULL;
    size_t size = 0;
    int64_t count = 0;
    enum cli_piece piece = CLI_PIECE;

    do { /* Comments say the time, and blank lines nothing. */
        resp->line = lines->count + 1;
        piece = take_line(lines, &line, &size);
    } while (piece == CLI_PIECE && (size == 0 || line[0] == '#'));
    if (piece != CLI_PIECE) {
        return piece;
    }
    if (line[0] != '*' || !parse_number(line + 1, size - 1, &count) ||
        count < 1 || count > WORDS_MAX) {
        return CLI_PIECE_LONG;
    }
    return read_words(resp, lines, count);
}

static const char *word(const struct cli_resp *resp, size_t i)
{
    return resp->bytes + resp->words[i].offset;
}

static bool is_word(const struct cli_resp *resp, size_t i, const char *name)
{
    return resp->words[i].size == strlen(name) &&
           strcasecmp(word(resp, i), name) == 0;
}

static bool number_at(const struct cli_resp *resp,
                      size_t i,
                      int64_t *number_out)
{
    return i < resp->count &&
           parse_number(word(resp, i), resp->words[i].size, number_out);
}

static void set_key(const struct cli_resp *resp,
                    size_t i,
                    struct cli_change *change)
{
    change->key = word(resp, i);
    change->key_size = resp->words[i].size;
    change->is_replayed = true;
}

static void set_value(const struct cli_resp *resp,
                      size_t i,
                      struct cli_change *change)
{
    change->value = word(resp, i);
    change->value_size = resp->words[i].size;
}

/* A time as a command has it: in seconds or in milliseconds, from now on or since
 * 1970. False: it has no room. One that is past is 1, which has passed. */
static bool to_moment(int64_t number,
                      int64_t unit_ms,
                      bool is_from_now,
                      int64_t *expires_ms_out)
{
    int64_t now_ms = is_from_now ? kvstore_now_ms() : 0;

    if (number > (KVSTORE_EXPIRES_MAX - now_ms) / unit_ms) {
        return false;
    }
    int64_t at_ms = number < 0 ? 1 : number * unit_ms + now_ms;
    *expires_ms_out = at_ms < 1 ? 1 : at_ms;
    return true;
}

/* SET key value [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] */
static const char *read_set(const struct cli_resp *resp,
                            struct cli_change *change)
{
    static const struct {
        const char *name;
        int64_t unit_ms;
        bool is_from_now;
    } times[] = {{"EX", 1000, true},
                 {"PX", 1, true},
                 {"EXAT", 1000, false},
                 {"PXAT", 1, false}};

    for (size_t i = 3; i < resp->count; i++) {
        size_t found = 0;
        int64_t number = 0;
        if (is_word(resp, i, "KEEPTTL")) {
            change->expires_ms = KVSTORE_EXPIRES_KEEP;
            continue;
        }
        while (found < 4 && !is_word(resp, i, times[found].name)) {
            found++;
        }
        if (found == 4) {
            return "SET has an option that a journal does not have";
        }
        if (!number_at(resp, ++i, &number) ||
            !to_moment(number,
                       times[found].unit_ms,
                       times[found].is_from_now,
                       &change->expires_ms)) {
            return no_number;
        }
    }
    change->kind = CLI_CHANGE_SET;
    set_key(resp, 1, change);
    set_value(resp, 2, change);
    return NULL;
}

/* SETEX key s value, PSETEX key ms value */
static const char *read_setex(const struct cli_resp *resp,
                              int64_t unit_ms,
                              struct cli_change *change)
{
    int64_t number = 0;

    if (!number_at(resp, 2, &number) ||
        !to_moment(number, unit_ms, true, &change->expires_ms)) {
        return no_number;
    }
    change->kind = CLI_CHANGE_SET;
    set_key(resp, 1, change);
    set_value(resp, 3, change);
    return NULL;
}

static const char *read_expiry(const struct cli_resp *resp,
                               struct cli_change *change)
{
    int64_t number = 0;

    change->kind = CLI_CHANGE_EXPIRE;
    set_key(resp, 1, change);
    if (resp->count == 2) { /* PERSIST */
        return NULL;
    }
    return number_at(resp, 2, &number) &&
                   to_moment(number, 1, false, &change->expires_ms)
               ? NULL
               : no_number;
}

static const char *read_select(struct cli_resp *resp, struct cli_change *change)
{
    int64_t number = 0;

    change->kind = CLI_CHANGE_NOTHING;
    if (!number_at(resp, 1, &number)) {
        return no_number;
    }
    resp->is_elsewhere = number != 0;
    return resp->is_elsewhere ? "SELECT: only what is in database 0 is read"
                              : NULL;
}

/* Reads one change of a command of many keys, and notes the next one. */
static const char *read_many(struct cli_resp *resp, struct cli_change *change)
{
    bool has_values = is_word(resp, 0, "MSET");
    size_t step = has_values ? 2 : 1;
    size_t i = resp->next == 0 ? 1 : resp->next;

    if (has_values && resp->count % 2 == 0) {
        return "MSET has a key without a value";
    }
    change->kind = has_values ? CLI_CHANGE_SET : CLI_CHANGE_REMOVE;
    set_key(resp, i, change);
    if (has_values) {
        set_value(resp, i + 1, change);
    }
    resp->next = i + step < resp->count ? i + step : 0;
    return NULL;
}

/* Makes a change of the command that has been read. */
static const char *read_change(struct cli_resp *resp,
                               struct cli_change *change_out)
{
    size_t count = resp->count;

    *change_out = (struct cli_change){.kind = CLI_CHANGE_NOTHING};
    if (is_word(resp, 0, "SELECT")) {
        return read_select(resp, change_out);
    }
    if (is_word(resp, 0, "MULTI") || is_word(resp, 0, "EXEC")) {
        return NULL;
    }
    if (resp->is_elsewhere) {
        return "it is of another database than 0";
    }
    if (is_word(resp, 0, "SET") && count >= 3) {
        return read_set(resp, change_out);
    }
    if (is_word(resp, 0, "SETEX") && count == 4) {
        return read_setex(resp, 1000, change_out);
    }
    if (is_word(resp, 0, "PSETEX") && count == 4) {
        return read_setex(resp, 1, change_out);
    }
    if ((is_word(resp, 0, "PEXPIREAT") && count == 3) ||
        (is_word(resp, 0, "PERSIST") && count == 2)) {
        return read_expiry(resp, change_out);
    }
    if (count >= 2 && (is_word(resp, 0, "DEL") || is_word(resp, 0, "UNLINK") ||
                       is_word(resp, 0, "MSET"))) {
        return read_many(resp, change_out);
    }
    return "it is a command that keeps no key and value";
}

static enum cli_resp_result break_off(struct cli_resp *resp,
                                      const char *why,
                                      const char **wrong_out)
{
    resp->broken = why;
    *wrong_out = why;
    return CLI_RESP_BROKEN;
}

enum cli_resp_result cli_resp_next(struct cli_resp *resp,
                                   struct cli_lines *lines,
                                   struct cli_change *change_out,
                                   const char **wrong_out)
{
    if (resp->broken != NULL) {
        return CLI_RESP_END;
    }
    if (resp->next == 0) {
        switch (read_command(resp, lines)) {
        case CLI_PIECE:
            break;
        case CLI_PIECE_NONE:
            return CLI_RESP_END;
        case CLI_PIECE_CUT:
            return break_off(resp, cut, wrong_out);
        case CLI_PIECE_LONG:
            return break_off(resp, no_command, wrong_out);
        case CLI_PIECE_FAILED:
            return CLI_RESP_FAILED;
        }
    }
    *wrong_out = read_change(resp, change_out);
    if (*wrong_out == NULL && change_out->kind != CLI_CHANGE_NOTHING) {
        *wrong_out = cli_change_check_sizes(change_out->key_size,
                                            change_out->value_size);
    }
    return *wrong_out == NULL ? CLI_RESP_CHANGE : CLI_RESP_BAD;
}

void cli_resp_release(struct cli_resp *resp)
{
    free(resp->words);
    free(resp->bytes);
    *resp = (struct cli_resp){0};
}
