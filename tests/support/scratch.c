/* SPDX-License-Identifier: MIT */

/* Directories for tests that need many. */

#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 1000

_Noreturn void scratch_die(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

unsigned long scratch_number(const char *variable, unsigned long otherwise)
{
    const char *text = getenv(variable);
    return text == NULL || text[0] == '\0' ? otherwise
                                           : strtoul(text, NULL, 10);
}

void scratch_make(char path_out[SCRATCH_PATH_SIZE])
{
    const char *base = getenv("KVSTORE_TEST_DIR");
    if (base == NULL || base[0] == '\0') {
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    }
    if (base == NULL || base[0] == '\0') {
        base = "/tmp";
    }
    (void)snprintf(
        path_out, SCRATCH_PATH_SIZE, "%s/kvstore-fault-XXXXXX", base);
    if (mkdtemp(path_out) == NULL) {
        scratch_die(path_out);
    }
}

/* Opens a directory's stream at the end of a path; NULL if there is none. */
static DIR *open_stream(const char *path)
{
    DIR *stream = opendir(path);
    if (stream == NULL && errno != ENOENT) {
        scratch_die(path);
    }
    return stream;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties a directory of files and empty directories; returns the path of the
 * first directory in it that holds something, or an empty path. */
static void remove_entries(const char *path, char *rest_out, size_t rest_size)
{
    rest_out[0] = '\0';
    DIR *stream = open_stream(path);
    if (stream == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL;
         entry = readdir(stream)) {
        if (is_dots(entry->d_name) ||
            unlinkat(dirfd(stream), entry->d_name, 0) == 0 ||
            unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR) == 0) {
            continue;
        }
        (void)snprintf(rest_out, rest_size, "%s/%s", path, entry->d_name);
    }
    (void)closedir(stream);
}

static void empty_down(const char *path)
{
    char at[SCRATCH_PATH_SIZE + 64];
    char rest[SCRATCH_PATH_SIZE + 512];
    (void)snprintf(at, sizeof at, "%s", path);
    for (int i = 0; i < ROUNDS_MAX; i++) {
        remove_entries(at, rest, sizeof rest);
        bool is_empty = rest[0] == '\0';
        if (is_empty && strcmp(at, path) == 0) {
            return;
        }
        /* Down into what holds something; from an emptied one back to the
         * top. */
        (void)snprintf(
            at, sizeof at, "%.*s", (int)sizeof at - 1, is_empty ? path : rest);
    }
}

void scratch_remove(const char *path)
{
    empty_down(path);
    if (rmdir(path) != 0 && errno != ENOENT) {
        scratch_die(path);
    }
}

void scratch_empty(const char *path)
{
    empty_down(path);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        scratch_die(path);
    }
}

static int open_file(const char *directory, const char *name, int flags)
{
    char path[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0 && errno != ENOENT) {
        scratch_die(path);
    }
    return fd;
}

void scratch_write(const char *directory,
                   const char *name,
                   const void *bytes,
                   size_t size)
{
    int fd = open_file(directory, name, O_WRONLY | O_CREAT | O_TRUNC);
    size_t done = 0;
    while (done < size) {
        ssize_t part = write(fd, (const char *)bytes + done, size - done);
        if (part <= 0) {
            scratch_die(name);
        }
        done += (size_t)part;
    }
    if (fd < 0 || close(fd) != 0) {
        scratch_die(name);
    }
}

char *scratch_read(const char *directory, const char *name, size_t *size_out)
{
    *size_out = 0;
    int fd = open_file(directory, name, O_RDONLY);
    if (fd < 0) {
        return NULL;
    }
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        scratch_die(name);
    }
    size_t capacity = (size_t)stat.st_size;
    char *bytes = malloc(capacity + 1);
    if (bytes == NULL) {
        scratch_die(name);
    }
    size_t size = 0;
    while (size < capacity) {
        ssize_t part = read(fd, bytes + size, capacity - size);
        if (part <= 0) {
            break;
        }
        size += (size_t)part;
    }
    (void)close(fd);
    bytes[size] = '\0';
    *size_out = size;
    return bytes;
}

bool scratch_has(const char *directory, const char *name)
{
    char path[SCRATCH_PATH_SIZE + 64];
    struct stat stat;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return lstat(path, &stat) == 0;
}

void scratch_list(const char *directory, scratch_visit visit, void *context)
{
    DIR *stream = open_stream(directory);
    if (stream == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL;
         entry = readdir(stream)) {
        if (!is_dots(entry->d_name)) {
            visit(context, entry->d_name);
        }
    }
    (void)closedir(stream);
}
