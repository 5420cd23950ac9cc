/* SPDX-License-Identifier: MIT */

/* kvstore set: stores a value, from the command line, or all bytes of standard
 * input. The value is complete before the store is opened: a pipe that fails or
 * never ends leaves the store alone. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A value as read. */
struct value {
    char *bytes;
    size_t size;
    size_t capacity;
};

static void tell_too_large(void)
{
    cli_tell("the value has more bytes than the limit of %ju",
             (uintmax_t)KVSTORE_VALUE_SIZE_MAX);
}

/* True if standard input is a file with more bytes left than a value may
 * have. */
static bool is_file_too_large(void)
{
    struct stat status;

    if (fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode)) {
        return false;
    }
    off_t offset = lseek(STDIN_FILENO, 0, SEEK_CUR);
    return offset >= 0 && (int64_t)status.st_size - (int64_t)offset >
                              (int64_t)KVSTORE_VALUE_SIZE_MAX;
}

/* Doubles the room, up to one byte more than a value may have, which is enough
 * to notice that there is too much. */
static bool grow(struct value *value)
{
    const size_t smallest = 65536;
    const size_t largest = (size_t)KVSTORE_VALUE_SIZE_MAX + 1;
    size_t capacity = value->capacity * 2;

    if (capacity < smallest) {
        capacity = smallest;
    } else if (capacity > largest) {
        capacity = largest;
    }
    char *bytes = realloc(value->bytes, capacity);
    if (bytes == NULL) {
        cli_tell("no memory for a value of more than %ju bytes",
                 (uintmax_t)value->size);
        return false;
    }
    value->bytes = bytes;
    value->capacity = capacity;
    return true;
}

/* Reads all of standard input. False: that failed, or it is too large; this was
 * reported. */
static bool read_value(struct value *value)
{
    while (value->size <= KVSTORE_VALUE_SIZE_MAX) {
        if (value->size == value->capacity && !grow(value)) {
            return false;
        }
        ssize_t got = read(STDIN_FILENO,
                           value->bytes + value->size,
                           value->capacity - value->size);
        if (got == 0) {
            return true;
        }
        if (got < 0 && errno != EINTR) {
            cli_tell("cannot read standard input: %s", strerror(errno));
            return false;
        }
        value->size += got < 0 ? 0 : (size_t)got;
    }
    tell_too_large();
    return false;
}

static int store_value(const struct cli_options *options,
                       const char *key,
                       const void *value,
                       size_t size)
{
    kvstore *store = NULL;

    int result = cli_store_open(options, CLI_CREATE, &store);
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status = kvstore_set(store, key, strlen(key), value, size);
    if (status != KVSTORE_OK) {
        result = cli_store_failed(options, "set", key, status);
    } else {
        cli_store_compact_if_due(options, store);
    }
    cli_store_close(options, store);
    return result;
}

static int store_standard_input(const struct cli_options *options,
                                const char *key)
{
    struct value value = {NULL, 0, 0};
    int result = CLI_FAILED;

    if (isatty(STDIN_FILENO) == 1) {
        cli_tell("no VALUE, and standard input is a terminal");
        return CLI_USAGE;
    }
    if (is_file_too_large()) {
        tell_too_large();
        return CLI_FAILED;
    }
    if (read_value(&value)) {
        result = store_value(options, key, value.bytes, value.size);
    }
    free(value.bytes);
    return result;
}

int cli_command_set(const struct cli_options *options,
                    int count,
                    char **operands)
{
    const char *key = operands[0];

    int result = cli_store_check_key(key);
    if (result != CLI_DONE) {
        return result;
    }
    if (count == 1) {
        return store_standard_input(options, key);
    }
    return store_value(options, key, operands[1], strlen(operands[1]));
}
