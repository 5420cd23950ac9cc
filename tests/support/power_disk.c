/* SPDX-License-Identifier: MIT */

/* Loop devices, mounts, and the call that shuts a file system down. */

#include "power_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS 10000 /* A millisecond each. */

/* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one call, in headers that not
 * every system has; and this is to leave the journal as it is on the disk. */
#define SHUT_DOWN _IOR('X', 125, uint32_t)
#define WITHOUT_THE_LOG UINT32_C(2)

static void rest(void)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    (void)nanosleep(&moment, NULL);
}

/* Another program may take the same device at the same moment. False: it has. */
static bool attach(int control_fd,
                   int image_fd,
                   char device_out[32],
                   int *device_fd_out)
{
    struct loop_config config = {.fd = (uint32_t)image_fd,
                                 .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
    if (number < 0) {
        scratch_die("no loop device is free");
    }
    (void)snprintf(device_out, 32, "/dev/loop%d", number);
    *device_fd_out = open(device_out, O_RDWR | O_CLOEXEC);
    if (*device_fd_out < 0) {
        scratch_die(device_out);
    }
    if (ioctl(*device_fd_out, LOOP_CONFIGURE, &config) == 0) {
        return true;
    }
    if (errno != EBUSY) {
        scratch_die("cannot attach an image");
    }
    (void)close(*device_fd_out);
    return false;
}

/* The device goes away with the mount. */
void power_disk_mount(struct power_disk *disk)
{
    char device[32];
    int device_fd = -1;
    int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int image_fd = open(disk->image, O_RDWR | O_CLOEXEC);
    if (control_fd < 0 || image_fd < 0) {
        scratch_die(disk->image);
    }
    int attempts = ATTEMPTS;
    while (!attach(control_fd, image_fd, device, &device_fd)) {
        if (--attempts == 0) {
            scratch_die("loop devices are busy");
        }
        rest();
    }
    if (mount(device, disk->place, disk->type, 0, disk->options) != 0) {
        scratch_die("mount");
    }
    (void)close(device_fd);
    (void)close(image_fd);
    (void)close(control_fd);
    disk->root_fd = open(disk->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->root_fd < 0) {
        scratch_die(disk->place);
    }
}

void power_disk_cut(const struct power_disk *disk)
{
    uint32_t how = WITHOUT_THE_LOG;
    if (ioctl(disk->root_fd, SHUT_DOWN, &how) != 0) {
        scratch_die("the file system cannot be shut down");
    }
}

/* The kernel may still be letting go of what the dead had open. */
void power_disk_unmount(struct power_disk *disk)
{
    (void)close(disk->root_fd);
    disk->root_fd = -1;
    int attempts = ATTEMPTS;
    while (umount2(disk->place, 0) != 0) {
        if (errno != EBUSY || --attempts == 0) {
            scratch_die("umount");
        }
        rest();
    }
}
