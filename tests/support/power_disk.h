/* SPDX-License-Identifier: MIT */

/* A file system in an image of a disk, which can be shut down at any moment, as
 * if the power were cut: what has not been written to the image then is lost.
 * Each mount is of another block device, of which nothing is in memory. Only
 * root can do this. A call that fails ends the program. */

#ifndef POWER_DISK_H
#define POWER_DISK_H

#include "scratch.h"

struct power_disk {
    const char *image;
    const char *type;    /* ext4 or xfs */
    const char *options; /* Of the mount; empty: none. */
    const char *place;   /* An empty directory. */
    int root_fd;
};

void power_disk_mount(struct power_disk *disk);

/* Any thread of any process that was forked since the disk was mounted may do
 * this, also several. */
void power_disk_cut(const struct power_disk *disk);

/* All processes that had it open are gone. */
void power_disk_unmount(struct power_disk *disk);

#endif
