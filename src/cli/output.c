/* SPDX-License-Identifier: MIT */

/* What the program puts out: data on standard output, messages on standard
 * error, and its exit status. Both streams go through stdio. The first function
 * that meets a failed write to standard output reports it, and the stream's
 * error flag keeps the others from reporting it again. */

#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What escape() lets through in addition to harmless text. */
enum escape_mode {
    ESCAPE_LINE, /* For a message: not even a newline; backslashes doubled. */
    ESCAPE_TEXT, /* For a value on a terminal: tab and newline pass. */
    ESCAPE_FIELD /* As a line, with \t, \n and \r in place of \xNN. */
};

/* What standard output is called in messages; NULL: that. */
static const char *output_name;

int cli_worse(int one, int other)
{
    static const int order[] = {
        CLI_FAILED, CLI_BUSY, CLI_DAMAGED, CLI_CONFLICT, CLI_NOT_FOUND};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (one == order[i] || other == order[i]) {
            return order[i];
        }
    }
    return one == CLI_DONE ? other : one;
}

bool cli_output_init(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) {
            continue;
        }
        /* The wrong direction on purpose: a caller that closed standard input
         * did not ask for an empty value to be stored. */
        int opened =
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (opened != fd) {
            return false;
        }
    }
    /* A write past a limit on file sizes just fails, like any other. */
    (void)signal(SIGXFSZ, SIG_IGN);
    /* So that messages of jobs that run at the same time do not mix. */
    (void)setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    return true;
}

static void tell_failed_output(void)
{
    const char *reason = strerror(errno);

    if (output_name == NULL) {
        cli_tell("cannot write standard output: %s", reason);
    } else {
        cli_tell("cannot write '%s': %s", output_name, reason);
    }
}

int cli_output_finish(int exit_status)
{
    bool was_told = ferror(stdout) != 0;
    bool failed = fflush(stdout) != 0;

    if (failed && !was_told) {
        tell_failed_output();
    }
    /* A disk on the network may report only now that it is full. */
    if (fclose(stdout) != 0 && !failed && !was_told) {
        tell_failed_output();
        failed = true;
    }
    failed = failed || was_told;
    return failed ? CLI_FAILED : exit_status;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0u) == 0x80u;
}

/* Reads the UTF-8 character (RFC 3629) at the start of bytes. Returns its size,
 * or 0 if there is none. */
static size_t read_character(const unsigned char *bytes,
                             size_t size,
                             uint32_t *character_out)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = bytes[0];
    uint32_t character = first;
    size_t length = 1;

    if (first >= 0xf0u && first <= 0xf4u) {
        length = 4;
        character = first & 0x07u;
    } else if (first >= 0xe0u && first < 0xf0u) {
        length = 3;
        character = first & 0x0fu;
    } else if (first >= 0xc2u && first < 0xe0u) {
        length = 2;
        character = first & 0x1fu;
    } else if (first >= 0x80u) {
        return 0;
    }
    if (length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation(bytes[i])) {
            return 0;
        }
        character = character << 6 | (bytes[i] & 0x3fu);
    }
    if (character < smallest[length] || character > 0x10ffffu ||
        (character >= 0xd800u && character <= 0xdfffu)) {
        return 0;
    }
    *character_out = character;
    return length;
}

static bool is_harmless(uint32_t character, enum escape_mode mode)
{
    if (character == '\t' || character == '\n') {
        return mode == ESCAPE_TEXT;
    }
    if (character == '\\') {
        return mode == ESCAPE_TEXT;
    }
    bool is_control =
        character < 0x20u || (character >= 0x7fu && character <= 0x9fu);
    /* These change the direction of writing, and so what a reader sees. */
    bool is_bidi = character == 0x61cu || character == 0x200eu ||
                   character == 0x200fu ||
                   (character >= 0x202au && character <= 0x202eu) ||
                   (character >= 0x2066u && character <= 0x2069u);
    return !is_control && !is_bidi;
}

/* How many bytes at the start may be written unchanged. */
static size_t harmless_size(const unsigned char *bytes,
                            size_t size,
                            enum escape_mode mode)
{
    size_t at = 0;

    while (at < size) {
        uint32_t character = 0;
        size_t length = read_character(bytes + at, size - at, &character);
        if (length == 0 || !is_harmless(character, mode)) {
            break;
        }
        at += length;
    }
    return at;
}

static bool write_escaped_byte(FILE *file,
                               unsigned char byte,
                               enum escape_mode mode)
{
    static const char digits[] = "0123456789abcdef";
    static const char special[] = "\\\t\n\r";
    static const char letters[] = "\\tnr";
    const char escaped[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15u]};
    const char *found = byte == '\0' ? NULL : strchr(special, byte);

    if (found == special || (found != NULL && mode == ESCAPE_FIELD)) {
        const char pair[] = {'\\', letters[found - special]};
        return fwrite(pair, 1, sizeof(pair), file) == sizeof(pair);
    }
    return fwrite(escaped, 1, sizeof(escaped), file) == sizeof(escaped);
}

/* Escapes byte by byte: without the first byte of a character, the rest of it
 * is not UTF-8, and so is escaped, too. */
static bool escape(FILE *file,
                   const unsigned char *bytes,
                   size_t size,
                   enum escape_mode mode)
{
    size_t at = 0;

    while (at < size) {
        size_t run = harmless_size(bytes + at, size - at, mode);
        if (fwrite(bytes + at, 1, run, file) != run) {
            return false;
        }
        at += run;
        if (at < size && !write_escaped_byte(file, bytes[at], mode)) {
            return false;
        }
        at++;
    }
    return true;
}

void cli_tell(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("kvstore: ", stderr);
    for (const char *at = format; *at != '\0'; at++) {
        if (strncmp(at, "%s", 2) == 0) {
            const char *text = va_arg(arguments, const char *);
            (void)escape(
                stderr, (const unsigned char *)text, strlen(text), ESCAPE_LINE);
            at += 1;
        } else if (strncmp(at, "%.*s", 4) == 0) {
            size_t size = (size_t)va_arg(arguments, int);
            (void)escape(stderr,
                         va_arg(arguments, const unsigned char *),
                         size,
                         ESCAPE_LINE);
            at += 3;
        } else if (strncmp(at, "%ju", 3) == 0) {
            (void)fprintf(stderr, "%ju", va_arg(arguments, uintmax_t));
            at += 2;
        } else {
            (void)fputc(*at, stderr);
        }
    }
    (void)fputc('\n', stderr);
    (void)fflush(stderr);
    va_end(arguments);
}

void cli_tell_place(const char *place,
                    uintmax_t number,
                    const char *what,
                    const char *outcome)
{
    (void)fputs("kvstore: ", stderr);
    (void)escape(
        stderr, (const unsigned char *)place, strlen(place), ESCAPE_LINE);
    (void)fprintf(stderr, " %ju: %s%s\n", number, what, outcome);
    (void)fflush(stderr);
}

void cli_tell_key(const char *what, const void *key, size_t size)
{
    (void)fprintf(stderr, "kvstore: %s: ", what);
    (void)escape(stderr, key, size, ESCAPE_LINE);
    (void)fputc('\n', stderr);
    (void)fflush(stderr);
}

void cli_output_name(const char *name)
{
    output_name = name;
}

bool cli_output_has_failed(void)
{
    return ferror(stdout) != 0;
}

void cli_print(const char *format, ...)
{
    va_list arguments;

    if (ferror(stdout)) {
        return;
    }
    va_start(arguments, format);
    if (vprintf(format, arguments) < 0) {
        tell_failed_output();
    }
    va_end(arguments);
}

void cli_flush(void)
{
    if (!ferror(stdout) && fflush(stdout) != 0) {
        tell_failed_output();
    }
}

bool cli_print_bytes(const void *bytes, size_t size)
{
    if (ferror(stdout)) {
        return false;
    }
    if (fwrite(bytes, 1, size, stdout) != size) {
        tell_failed_output();
        return false;
    }
    return true;
}

static bool print_escaped(const void *bytes, size_t size, enum escape_mode mode)
{
    if (ferror(stdout)) {
        return false;
    }
    if (!escape(stdout, bytes, size, mode)) {
        tell_failed_output();
        return false;
    }
    return true;
}

bool cli_print_visible(const void *bytes, size_t size)
{
    return print_escaped(bytes, size, ESCAPE_TEXT);
}

bool cli_print_escaped(const void *bytes, size_t size)
{
    return print_escaped(bytes, size, ESCAPE_LINE);
}

/* True if the byte would end a field or a line, or begins an escape. */
static bool is_of_the_form(unsigned char byte)
{
    return byte == '\\' || byte == '\t' || byte == '\n' || byte == '\r' ||
           byte == '\0';
}

/* Prints a field for no terminal: other bytes are nobody's business. */
static bool print_field(const unsigned char *bytes, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t run = at;
        while (run < size && !is_of_the_form(bytes[run])) {
            run++;
        }
        if (fwrite(bytes + at, 1, run - at, stdout) != run - at ||
            (run < size &&
             !write_escaped_byte(stdout, bytes[run], ESCAPE_FIELD))) {
            return false;
        }
        at = run + 1;
    }
    return true;
}

bool cli_print_field(const void *bytes, size_t size, bool is_visible)
{
    if (is_visible) {
        return print_escaped(bytes, size, ESCAPE_FIELD);
    }
    if (ferror(stdout)) {
        return false;
    }
    if (!print_field(bytes, size)) {
        tell_failed_output();
        return false;
    }
    return true;
}

bool cli_is_text(const void *bytes, size_t size)
{
    const unsigned char *text = bytes;
    size_t at = 0;

    while (at < size) {
        uint32_t character = 0;
        size_t length = read_character(text + at, size - at, &character);
        if (length == 0 || character == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

int cli_exit_status(kvstore_status status)
{
    switch (status) {
    case KVSTORE_OK:
        return CLI_DONE;
    case KVSTORE_NOT_FOUND:
        return CLI_NOT_FOUND;
    case KVSTORE_INVALID_KEY:
        return CLI_USAGE;
    case KVSTORE_BAD_JSON:
    case KVSTORE_CORRUPT:
        return CLI_DAMAGED;
    case KVSTORE_BUSY:
        return CLI_BUSY;
    case KVSTORE_CONFLICT:
        return CLI_CONFLICT;
    case KVSTORE_INVALID:
    case KVSTORE_TOO_LARGE:
    case KVSTORE_IO:
    case KVSTORE_COMPACTION_FAILED:
    case KVSTORE_NO_MEMORY:
    case KVSTORE_READ_ONLY:
    case KVSTORE_UNSUPPORTED:
        return CLI_FAILED;
    }
    return CLI_FAILED; /* A status from a newer library. */
}

const char *cli_reason(kvstore_status status)
{
    const kvstore_error *error = kvstore_last_error();

    if (error->status == status && error->message[0] != '\0') {
        return error->message;
    }
    return kvstore_strerror(status);
}
