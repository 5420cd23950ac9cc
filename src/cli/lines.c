/* SPDX-License-Identifier: MIT */

/* Reads a file, or standard input, piece by piece. */

#include "cli/lines.h"

#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Tests change this, so that small inputs need more. */
#ifndef CLI_LINES_FIRST_CAPACITY
#define CLI_LINES_FIRST_CAPACITY ((size_t)1 << 18)
#endif

static void tell_failed(const struct cli_lines *lines)
{
    const char *reason = strerror(errno);

    if (lines->file == NULL) {
        cli_tell("cannot read standard input: %s", reason);
    } else {
        cli_tell("cannot read '%s': %s", lines->file, reason);
    }
}

/* How many bytes there are from where it stands. */
static uint64_t measure(int fd)
{
    struct stat stat;
    off_t offset = lseek(fd, 0, SEEK_CUR);

    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && offset >= 0 &&
                   stat.st_size >= offset
               ? (uint64_t)(stat.st_size - offset)
               : CLI_LINES_ENDLESS;
}

bool cli_lines_open(struct cli_lines *lines, const char *file)
{
    bool is_file = file != NULL && strcmp(file, "-") != 0;

    *lines =
        (struct cli_lines){.fd = STDIN_FILENO, .file = is_file ? file : NULL};
    if (is_file) {
        lines->fd = open(file, O_RDONLY | O_CLOEXEC);
    }
    if (lines->fd < 0) {
        tell_failed(lines);
        return false;
    }
    lines->total = measure(lines->fd);
    return true;
}

void cli_lines_close(struct cli_lines *lines)
{
    if (lines->file != NULL && lines->fd >= 0) {
        (void)close(lines->fd);
    }
    free(lines->buffer);
    *lines = (struct cli_lines){.fd = -1};
}

/* Makes room after what has been read: moves that to the front, or if it fills
 * more than half, doubles the room. */
static enum cli_piece make_room(struct cli_lines *lines)
{
    size_t used = lines->end - lines->begin;

    if (used >= CLI_LINE_SIZE_MAX) {
        cli_tell("line %ju has more than %ju bytes",
                 (uintmax_t)lines->count + 1,
                 (uintmax_t)CLI_LINE_SIZE_MAX);
        return CLI_PIECE_LONG;
    }
    if (lines->buffer != NULL && used <= lines->capacity / 2) {
        memmove(lines->buffer, lines->buffer + lines->begin, used);
    } else {
        size_t capacity = lines->capacity == 0 ? CLI_LINES_FIRST_CAPACITY
                                               : 2 * lines->capacity;
        char *buffer = malloc(capacity);
        if (buffer == NULL) {
            cli_tell("no memory for %ju bytes of a line", (uintmax_t)capacity);
            return CLI_PIECE_FAILED;
        }
        if (lines->buffer != NULL) {
            memcpy(buffer, lines->buffer + lines->begin, used);
        }
        free(lines->buffer);
        lines->buffer = buffer;
        lines->capacity = capacity;
    }
    lines->begin = 0;
    lines->end = used;
    return CLI_PIECE;
}

/* Reads some more bytes, or learns that there are none. */
static enum cli_piece read_more(struct cli_lines *lines)
{
    ssize_t got = -1;

    if (lines->end == lines->capacity) {
        enum cli_piece made = make_room(lines);
        if (made != CLI_PIECE) {
            return made;
        }
    }
    do {
        got = read(lines->fd,
                   lines->buffer + lines->end,
                   lines->capacity - lines->end);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        tell_failed(lines);
        return CLI_PIECE_FAILED;
    }
    lines->is_at_end = got == 0;
    lines->end += (size_t)got;
    lines->done += (size_t)got;
    return CLI_PIECE;
}

enum cli_piece cli_lines_next(struct cli_lines *lines,
                              char delimiter,
                              char **piece_out,
                              size_t *size_out)
{
    size_t looked = 0;

    while (true) {
        /* Nothing is added to the buffer until there is one. */
        size_t left = lines->end - lines->begin;
        char *found = left == looked
                          ? NULL
                          : memchr(lines->buffer + lines->begin + looked,
                                   delimiter,
                                   left - looked);
        if (found != NULL || (lines->is_at_end && left > 0)) {
            *piece_out = lines->buffer + lines->begin;
            *size_out = found == NULL ? left : (size_t)(found - *piece_out);
            lines->begin += *size_out + (found == NULL ? 0 : 1);
            lines->count++;
            return found == NULL ? CLI_PIECE_CUT : CLI_PIECE;
        }
        if (lines->is_at_end) {
            return CLI_PIECE_NONE;
        }
        looked = left;
        enum cli_piece more = read_more(lines);
        if (more != CLI_PIECE) {
            return more;
        }
    }
}

/* Newlines within, so that a place can be named by its line. */
static uint64_t count_newlines(const char *at, size_t size)
{
    uint64_t count = 0;
    const char *end = at + size;

    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        count++;
        at++;
    }
    return count;
}

enum cli_piece cli_lines_take(struct cli_lines *lines,
                              size_t size,
                              char **piece_out)
{
    while (lines->end - lines->begin < size && !lines->is_at_end) {
        enum cli_piece more = read_more(lines);
        if (more != CLI_PIECE) {
            return more;
        }
    }
    if (lines->end - lines->begin < size) {
        return CLI_PIECE_CUT;
    }
    *piece_out = lines->buffer + lines->begin;
    lines->begin += size;
    lines->count += count_newlines(*piece_out, size);
    return CLI_PIECE;
}
