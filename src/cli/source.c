/* SPDX-License-Identifier: MIT */

/* Where import and batch read. */

#include "cli/source.h"

#include "cli/output.h"
#include "cli/read_tsv.h"
#include <kvstore.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

bool cli_source_open(struct cli_source *source,
                     const struct cli_options *options,
                     int count,
                     char **operands)
{
    *source = (struct cli_source){.data = options->data};
    source->is_of_nul = cli_has(options, CLI_OPTION_NULL);
    source->place = source->is_of_nul ? "record" : "line";
    return cli_lines_open(&source->lines, count == 0 ? NULL : operands[0]);
}

void cli_source_close(struct cli_source *source)
{
    cli_lines_close(&source->lines);
    cli_resp_release(&source->resp);
    free(source->decoded.bytes);
    source->decoded = (struct cli_decoded){0};
}

static enum cli_source_result result_of_piece(enum cli_piece piece)
{
    return piece == CLI_PIECE_NONE ? CLI_SOURCE_END : CLI_SOURCE_FAILED;
}

/* Leaves out the mark that some editors put in front of UTF-8. */
static void skip_mark(const struct cli_source *source,
                      char **line,
                      size_t *size)
{
    if (source->lines.count == 1 && *size >= 3 &&
        memcmp(*line, "\xef\xbb\xbf", 3) == 0) {
        *line += 3;
        *size -= 3;
    }
}

static enum cli_source_result read_line(struct cli_source *source,
                                        struct cli_change *change_out)
{
    char *line = NULL;
    size_t size = 0;
    enum cli_piece piece = cli_lines_next(&source->lines, '\n', &line, &size);

    if (piece != CLI_PIECE && piece != CLI_PIECE_CUT) {
        return result_of_piece(piece);
    }
    skip_mark(source, &line, &size);
    source->number = source->lines.count;
    source->wrong =
        source->data == CLI_DATA_TSV
            ? cli_read_tsv(line, size, change_out)
            : cli_read_json(line, size, &source->decoded, change_out);
    return source->wrong == NULL ? CLI_SOURCE_CHANGE : CLI_SOURCE_BAD;
}

/* Reads a key, which is kept since the value comes in another piece. */
static enum cli_piece read_key(struct cli_source *source, size_t *size_out)
{
    struct cli_decoded *key = &source->decoded;
    char *piece = NULL;
    enum cli_piece result =
        cli_lines_next(&source->lines, '\0', &piece, size_out);

    if (result != CLI_PIECE) {
        return result;
    }
    if (*size_out > key->capacity) {
        free(key->bytes);
        key->bytes = malloc(*size_out);
        key->capacity = key->bytes == NULL ? 0 : *size_out;
    }
    if (key->bytes == NULL && *size_out > 0) {
        cli_tell("out of memory");
        return CLI_PIECE_FAILED;
    }
    if (*size_out > 0) {
        memcpy(key->bytes, piece, *size_out);
    }
    return CLI_PIECE;
}

static enum cli_source_result read_pair(struct cli_source *source,
                                        struct cli_change *change_out)
{
    size_t key_size = 0;
    char *value = NULL;
    size_t size = 0;

    source->number = source->lines.count / 2 + 1;
    enum cli_piece piece = read_key(source, &key_size);
    if (piece == CLI_PIECE) {
        piece = cli_lines_next(&source->lines, '\0', &value, &size);
        piece = piece == CLI_PIECE_NONE ? CLI_PIECE_CUT : piece;
    }
    if (piece == CLI_PIECE_CUT) {
        source->wrong = "the input ends before the NUL after its value";
        return CLI_SOURCE_BAD;
    }
    if (piece != CLI_PIECE) {
        return result_of_piece(piece);
    }
    *change_out = (struct cli_change){.kind = CLI_CHANGE_SET,
                                      .key = source->decoded.bytes,
                                      .key_size = key_size,
                                      .value = value,
                                      .value_size = size};
    source->wrong = cli_change_check_sizes(key_size, size);
    return source->wrong == NULL ? CLI_SOURCE_CHANGE : CLI_SOURCE_BAD;
}

static enum cli_source_result read_command(struct cli_source *source,
                                           struct cli_change *change_out)
{
    enum cli_resp_result result = cli_resp_next(
        &source->resp, &source->lines, change_out, &source->wrong);

    source->number = source->resp.line;
    switch (result) {
    case CLI_RESP_CHANGE:
        return CLI_SOURCE_CHANGE;
    case CLI_RESP_BAD:
    case CLI_RESP_BROKEN:
        return CLI_SOURCE_BAD;
    case CLI_RESP_END:
        return CLI_SOURCE_END;
    case CLI_RESP_FAILED:
        return CLI_SOURCE_FAILED;
    }
    return CLI_SOURCE_FAILED;
}

static enum cli_source_result read_one(struct cli_source *source,
                                       struct cli_change *change_out)
{
    if (source->is_of_nul) {
        return read_pair(source, change_out);
    }
    return source->data == CLI_DATA_RESP ? read_command(source, change_out)
                                         : read_line(source, change_out);
}

/* A set that has expired sets nothing; in a journal, what was set before it is
 * gone, too. */
static void judge_expiry(struct cli_change *change)
{
    bool can_expire =
        change->kind == CLI_CHANGE_SET || change->kind == CLI_CHANGE_EXPIRE;

    if (can_expire && change->expires_ms > 0 &&
        change->expires_ms <= kvstore_now_ms()) {
        change->kind =
            change->is_replayed ? CLI_CHANGE_REMOVE : CLI_CHANGE_NOTHING;
    }
}

enum cli_source_result cli_source_next(struct cli_source *source,
                                       struct cli_change *change_out)
{
    enum cli_source_result result = CLI_SOURCE_CHANGE;

    do {
        result = read_one(source, change_out);
        if (result == CLI_SOURCE_CHANGE) {
            judge_expiry(change_out);
        }
    } while (result == CLI_SOURCE_CHANGE &&
             change_out->kind == CLI_CHANGE_NOTHING);
    return result;
}

void cli_source_tell(const struct cli_source *source, const char *outcome)
{
    cli_tell_place(
        source->place, (uintmax_t)source->number, source->wrong, outcome);
}
