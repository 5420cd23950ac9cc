/* SPDX-License-Identifier: MIT */

/* Reads a file, or standard input, piece by piece. Knows no format. */

#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece has fewer bytes than this. */
#define CLI_LINE_SIZE_MAX ((size_t)INT32_MAX)

/* Of what is no file. */
#define CLI_LINES_ENDLESS UINT64_MAX

struct cli_lines {
    int fd;
    const char *file; /* NULL: standard input. */
    char *buffer;
    size_t capacity;
    size_t begin; /* What has been read and not taken. */
    size_t end;
    bool is_at_end;
    uint64_t count; /* Newlines that have been taken. */
    uint64_t done;  /* Bytes that have been read, */
    uint64_t total; /* and in all; CLI_LINES_ENDLESS: not known. */
};

enum cli_piece {
    CLI_PIECE,        /* There is one. */
    CLI_PIECE_CUT,    /* There is one, but the input ends before its end. */
    CLI_PIECE_NONE,   /* The input is at its end. */
    CLI_PIECE_FAILED, /* It cannot be read, which was reported. */
    CLI_PIECE_LONG    /* It is longer than a line may be; was reported. */
};

/* Opens the file; NULL or "-": standard input. False: that failed, which was
 * reported. Released with cli_lines_close() either way. */
bool cli_lines_open(struct cli_lines *lines, const char *file);

void cli_lines_close(struct cli_lines *lines);

/* Takes the bytes up to the next such byte, which is taken, too, and is not part
 * of the piece. The piece may be written to, and is valid until the next call. */
enum cli_piece cli_lines_next(struct cli_lines *lines,
                              char delimiter,
                              char **piece_out,
                              size_t *size_out);

/* Takes so many bytes. */
enum cli_piece cli_lines_take(struct cli_lines *lines,
                              size_t size,
                              char **piece_out);

#endif
