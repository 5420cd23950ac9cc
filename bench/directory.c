/* SPDX-License-Identifier: MIT */

/* Directories of stores: made, measured and removed. */

#include "directory.h"

#include "store.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

/* nftw hands nothing through to what it calls. */
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
