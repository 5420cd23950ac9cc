/* SPDX-License-Identifier: MIT */

/* Directories of tests. Plain system calls: what is tested stays out of it. */

#include "store_dir.h"

#include "log/log.h"
#include "os/error.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int store_dir_set_up(void **state)
{
    struct store_dir *dir = calloc(1, sizeof *dir);
    const char *base = getenv("TMPDIR");
    if (dir == NULL) {
        return -1;
    }
    (void)snprintf(dir->path,
                   sizeof dir->path,
                   "%s/kvstore-test-XXXXXX",
                   base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(dir->path) == NULL) {
        free(dir);
        return -1;
    }
    dir->directory = (struct kv_io_file){
        .fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .name = "the data directory"};
    *state = dir;
    return dir->directory.fd >= 0 ? 0 : -1;
}

static void remove_entries(int dir_fd)
{
    DIR *stream = fdopendir(dup(dir_fd));
    if (stream == NULL) {
        return;
    }
    rewinddir(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL;
         entry = readdir(stream)) {
        if (unlinkat(dir_fd, entry->d_name, 0) != 0) {
            (void)unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(stream);
}

int store_dir_tear_down(void **state)
{
    struct store_dir *dir = *state;
    remove_entries(dir->directory.fd);
    (void)close(dir->directory.fd);
    (void)rmdir(dir->path);
    free(dir);
    return kv_error_is_held() ? -1 : 0;
}

const char *store_dir_path(const struct store_dir *dir, const char *name)
{
    static char path[sizeof dir->path + 64];
    (void)snprintf(path, sizeof path, "%s/%s", dir->path, name);
    return path;
}

bool store_dir_has(const struct store_dir *dir, const char *name)
{
    struct stat stat;
    return fstatat(dir->directory.fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

uint64_t store_dir_file_size(const struct store_dir *dir, const char *name)
{
    struct stat stat;
    assert_int_equal(fstatat(dir->directory.fd, name, &stat, 0), 0);
    return (uint64_t)stat.st_size;
}

static int open_file(const struct store_dir *dir, const char *name, int flags)
{
    int fd = openat(dir->directory.fd, name, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void write_all(int fd, uint64_t offset, const void *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = pwrite(fd,
                              (const char *)bytes + done,
                              size - done,
                              (off_t)(offset + done));
        assert_true(part > 0);
        done += (size_t)part;
    }
    assert_int_equal(close(fd), 0);
}

char *store_dir_read(const struct store_dir *dir,
                     const char *name,
                     size_t *size_out)
{
    size_t size = (size_t)store_dir_file_size(dir, name);
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    int fd = open_file(dir, name, O_RDONLY);
    size_t done = 0;
    while (done < size) {
        ssize_t part = read(fd, bytes + done, size - done);
        assert_true(part > 0);
        done += (size_t)part;
    }
    (void)close(fd);
    bytes[size] = '\0';
    *size_out = size;
    return bytes;
}

void store_dir_write(const struct store_dir *dir,
                     const char *name,
                     const void *bytes,
                     size_t size)
{
    write_all(
        open_file(dir, name, O_WRONLY | O_CREAT | O_TRUNC), 0, bytes, size);
}

void store_dir_append(const struct store_dir *dir,
                      const char *name,
                      const void *bytes,
                      size_t size)
{
    uint64_t end = store_dir_file_size(dir, name);
    write_all(open_file(dir, name, O_WRONLY), end, bytes, size);
}

void store_dir_overwrite(const struct store_dir *dir,
                         const char *name,
                         uint64_t offset,
                         const void *bytes,
                         size_t size)
{
    write_all(open_file(dir, name, O_WRONLY), offset, bytes, size);
}

void store_dir_truncate(const struct store_dir *dir,
                        const char *name,
                        uint64_t size)
{
    int fd = open_file(dir, name, O_WRONLY);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    (void)close(fd);
}

void store_dir_write_log(const struct store_dir *dir,
                         const struct log_text *text)
{
    store_dir_write(dir, KV_LOG_NAME, text->bytes, text->size);
}

void store_dir_assert_file(const struct store_dir *dir,
                           const char *name,
                           const char *bytes,
                           size_t size)
{
    size_t found_size = 0;
    char *found = store_dir_read(dir, name, &found_size);
    assert_int_equal(found_size, size);
    assert_memory_equal(found, bytes, size);
    free(found);
}

void store_dir_assert_log(const struct store_dir *dir,
                          const struct log_text *text)
{
    store_dir_assert_file(dir, KV_LOG_NAME, text->bytes, text->size);
}
