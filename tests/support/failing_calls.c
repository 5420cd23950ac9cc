/* SPDX-License-Identifier: MIT */

/* Calls of which one fails, once. */

#include "failing_calls.h"

#include "os/system.h"

#include <errno.h>
#include <stdbool.h>

int failing_call;

static bool fails_now(int error)
{
    if (failing_call == 0 || --failing_call > 0) {
        return false;
    }
    errno = error;
    return true;
}

ssize_t failing_pread(int fd, void *buffer, size_t size, off_t offset)
{
    return fails_now(EIO)
               ? -1
               : kv_io_system_table()->pread(fd, buffer, size, offset);
}

ssize_t failing_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return fails_now(ENOSPC)
               ? -1
               : kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

int failing_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    return fails_now(EIO)
               ? -1
               : kv_io_system_table()->fstatat(dir_fd, name, stat_out);
}

void *failing_malloc(size_t size)
{
    return fails_now(ENOMEM) ? NULL : kv_io_system_table()->malloc(size);
}
