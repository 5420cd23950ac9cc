/* SPDX-License-Identifier: MIT */

/* refuse_call CALL ERRNO COMMAND [WORD...]: runs a command to which the kernel
 * refuses a system call, as a sandbox does. Ends with status 77 if it cannot be
 * refused here. */

#define _GNU_SOURCE

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SKIPPED 77

struct call {
    const char *name;
    long number;
};

static const struct call calls[] = {
#ifdef SYS_fadvise64
    {"fadvise", SYS_fadvise64},
#endif
    {"fallocate", SYS_fallocate},
    {"fchmod", SYS_fchmod},
    {"fchown", SYS_fchown},
    {"fcntl", SYS_fcntl},
    {"fdatasync", SYS_fdatasync},
    {"fgetxattr", SYS_fgetxattr},
    {"flock", SYS_flock},
    {"fstatfs", SYS_fstatfs},
    {"fsync", SYS_fsync},
    {"ftruncate", SYS_ftruncate},
    {"getrandom", SYS_getrandom},
    {"ioctl", SYS_ioctl},
    {"lseek", SYS_lseek},
    {"madvise", SYS_madvise},
    {"name_to_handle_at", SYS_name_to_handle_at},
    {"prlimit", SYS_prlimit64},
    {"pwrite", SYS_pwrite64},
#ifdef SYS_renameat
    {"renameat", SYS_renameat},
#endif
    {"statx", SYS_statx},
    {"unlinkat", SYS_unlinkat},
};

static const struct call errors[] = {
    {"EACCES", EACCES},
    {"EINVAL", EINVAL},
    {"ENOSYS", ENOSYS},
    {"EOPNOTSUPP", EOPNOTSUPP},
    {"EPERM", EPERM},
};

static long find(const struct call *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].number;
        }
    }
    (void)fprintf(stderr, "refuse_call: there is no %s here\n", name);
    exit(SKIPPED);
}

static void refuse(uint32_t call, uint32_t error)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {.len = sizeof rules / sizeof rules[0],
                                .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        perror("refuse_call");
        exit(SKIPPED);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: refuse_call CALL ERRNO COMMAND...\n");
        return 2;
    }
    long call = find(calls, sizeof calls / sizeof calls[0], argv[1]);
    long error = find(errors, sizeof errors / sizeof errors[0], argv[2]);
    refuse((uint32_t)call, (uint32_t)error);
    (void)execv(argv[3], argv + 3);
    perror(argv[3]);
    return SKIPPED;
}
