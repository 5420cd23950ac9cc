/* SPDX-License-Identifier: MIT */

/* Reads all of a file, or of standard input, as one value. */

#include "cli/input.h"

#include "cli/output.h"
#include <kvstore.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell_too_large(void)
{
    cli_tell("the value has more bytes than the limit of %ju",
             (uintmax_t)KVSTORE_VALUE_SIZE_MAX);
}

static void tell_failed(const char *file)
{
    const char *reason = strerror(errno);

    if (file == NULL) {
        cli_tell("cannot read standard input: %s", reason);
    } else {
        cli_tell("cannot read '%s': %s", file, reason);
    }
}

/* True if this is a file with more bytes left than a value may have. */
static bool is_file_too_large(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return false;
    }
    off_t offset = lseek(fd, 0, SEEK_CUR);
    return offset >= 0 && (int64_t)status.st_size - (int64_t)offset >
                              (int64_t)KVSTORE_VALUE_SIZE_MAX;
}

/* Doubles the room, up to one byte more than a value may have, which is enough
 * to notice that there is too much. */
static bool grow(struct cli_input *input)
{
    const size_t smallest = 65536;
    const size_t largest = (size_t)KVSTORE_VALUE_SIZE_MAX + 1;
    size_t capacity = input->capacity * 2;

    if (capacity < smallest) {
        capacity = smallest;
    } else if (capacity > largest) {
        capacity = largest;
    }
    char *bytes = realloc(input->bytes, capacity);
    if (bytes == NULL) {
        cli_tell("no memory for %ju bytes of a value", (uintmax_t)capacity);
        return false;
    }
    input->bytes = bytes;
    input->capacity = capacity;
    return true;
}

static bool read_all(struct cli_input *input, int fd, const char *file)
{
    while (input->size <= KVSTORE_VALUE_SIZE_MAX) {
        if (input->size == input->capacity && !grow(input)) {
            return false;
        }
        ssize_t got =
            read(fd, input->bytes + input->size, input->capacity - input->size);
        if (got == 0) {
            return true;
        }
        if (got < 0 && errno != EINTR) {
            tell_failed(file);
            return false;
        }
        input->size += got < 0 ? 0 : (size_t)got;
    }
    tell_too_large();
    return false;
}

bool cli_input_read(struct cli_input *input, const char *file)
{
    int fd = file == NULL ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    bool is_read = false;

    if (fd < 0) {
        tell_failed(file);
        return false;
    }
    if (is_file_too_large(fd)) {
        tell_too_large();
    } else {
        is_read = read_all(input, fd, file);
    }
    if (file != NULL) {
        (void)close(fd);
    }
    return is_read;
}

void cli_input_release(struct cli_input *input)
{
    free(input->bytes);
    *input = (struct cli_input){0};
}
