/* SPDX-License-Identifier: MIT */

/* For a build by clang with -fsanitize=memory: calls that fill memory, and of which
 * clang 14 does not know that. Linked with --wrap, see run. */

#include <linux/stat.h>
#include <sanitizer/msan_interface.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int __real_fstat64(int fd, struct stat *out);
int __real_fstatat64(int fd, const char *name, struct stat *out, int flags);
int __real_stat64(const char *path, struct stat *out);
long __real_syscall(long number, long a, long b, long c, long d, long e);

static int filled(int result, struct stat *out)
{
    if (result == 0) {
        __msan_unpoison(out, sizeof *out);
    }
    return result;
}

int __wrap_fstat64(int fd, struct stat *out)
{
    return filled(__real_fstat64(fd, out), out);
}

int __wrap_fstatat64(int fd, const char *name, struct stat *out, int flags)
{
    return filled(__real_fstatat64(fd, name, out, flags), out);
}

int __wrap_stat64(const char *path, struct stat *out)
{
    return filled(__real_stat64(path, out), out);
}

/* Only statx is called so. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e)
{
    long result = __real_syscall(number, a, b, c, d, e);
    if (number == SYS_statx && result == 0) {
        __msan_unpoison((void *)e, sizeof(struct statx));
    }
    return result;
}
