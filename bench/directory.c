/* SPDX-License-Identifier: MIT */

/* Directories of stores: made, measured and removed. */

#include "directory.h"

#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIRECTORIES 16

static int remove_one(const char *path,
                      const struct stat *status,
                      int type,
                      struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    (void)remove(path);
    return 0;
}

void bench_directory_remove(const char *path)
{
    (void)nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

bool bench_directory_make(const char *path)
{
    bench_directory_remove(path);
    return mkdir(path, 0700) == 0 ||
           bench_fail("cannot make '%s': %s", path, strerror(errno));
}

/* A variable, since nftw passes no context to its callback. */
static uint64_t allocated_bytes;
static uint64_t length_bytes;

static int add_size(const char *path,
                    const struct stat *status,
                    int type,
                    struct FTW *place)
{
    (void)path;
    (void)place;
    if (type == FTW_F) {
        allocated_bytes += (uint64_t)status->st_blocks * 512;
        length_bytes += (uint64_t)status->st_size;
    }
    return 0;
}

void bench_directory_size(const char *path,
                          uint64_t *allocated_out,
                          uint64_t *length_out)
{
    allocated_bytes = 0;
    length_bytes = 0;
    (void)nftw(path, add_size, OPEN_DIRECTORIES, FTW_PHYS);
    *allocated_out = allocated_bytes;
    *length_out = length_bytes;
}

/* --- Copies --- */

static bool copy_bytes(int from, int to)
{
    static char buffer[1u << 20];
    ssize_t got;
    while ((got = read(from, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, buffer + done, (size_t)(got - done));
            if (put <= 0) {
                return false;
            }
            done += put;
        }
    }
    return got == 0 && fdatasync(to) == 0;
}

static bool copy_file(int from_dir, int to_dir, const char *name)
{
    int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
    int to =
        openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_done = from != -1 && to != -1 && copy_bytes(from, to);
    if (!is_done) {
        bench_fail("cannot copy '%s': %s", name, strerror(errno));
    }
    (void)close(from);
    (void)close(to);
    return is_done;
}

bool bench_directory_copy(const char *from, const char *to, const char *except)
{
    DIR *directory = opendir(from);
    int to_dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done = directory != NULL && to_dir != -1;
    if (!is_done) {
        bench_fail("cannot copy '%s': %s", from, strerror(errno));
    }
    struct dirent *entry;
    while (is_done && (entry = readdir(directory)) != NULL) {
        bool is_wanted = entry->d_name[0] != '.' &&
                         (except == NULL || strcmp(entry->d_name, except) != 0);
        is_done =
            !is_wanted || copy_file(dirfd(directory), to_dir, entry->d_name);
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    (void)close(to_dir);
    return is_done;
}
