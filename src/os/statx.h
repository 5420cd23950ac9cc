/* SPDX-License-Identifier: MIT */

/* What the kernel answers to the call statx, which only system.c makes. C
 * libraries declare it late and in part, and musl is used without the kernel's
 * headers, so it is written down here. */

#ifndef KV_OS_STATX_H
#define KV_OS_STATX_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* What is asked for. Type, mode, links, owner, group, inode number and size are
 * one question: all but the times. */
#define KV_STATX_NO_TIMES 0x31fu
#define KV_STATX_BIRTH 0x800u
#define KV_STATX_MOUNT 0x1000u

/* Since Linux 6.8 mounts have numbers that are never used again. An older
 * kernel gives numbers that are reused, and one before 5.8 gives none. */
#define KV_STATX_MOUNT_UNIQUE 0x4000u

/* A flag beside those of fstatat. */
#define KV_STATX_DONT_SYNC 0x4000

struct kv_statx {
    uint32_t answered; /* Of what was asked for. */
    uint32_t unused_0[3];
    uint32_t link_count;
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;
    uint16_t unused_1;
    uint64_t inode;
    uint64_t size;
    uint64_t unused_2[4];
    int64_t birth_s;
    uint32_t birth_ns;
    uint32_t unused_3;
    uint64_t unused_4[5];
    uint32_t device_major;
    uint32_t device_minor;
    uint64_t mount_id;
    uint64_t unused_5[13];
};

static_assert(offsetof(struct kv_statx, inode) == 32 &&
                  offsetof(struct kv_statx, birth_s) == 80 &&
                  offsetof(struct kv_statx, device_major) == 136 &&
                  sizeof(struct kv_statx) == 256,
              "the kernel's layout");

#endif
