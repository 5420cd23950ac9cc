/* SPDX-License-Identifier: MIT */

/* What the figures were measured on. */

#include "machine.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static void find_processor(char *text_out, size_t size)
{
    (void)snprintf(text_out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) {
        return;
    }
    char line[300];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, "model name", 10) == 0) {
            (void)snprintf(text_out,
                           size,
                           "%.*s",
                           (int)strcspn(colon + 2, "\n"),
                           colon + 2);
            break;
        }
    }
    (void)fclose(file);
}

static const char *file_system_of(const char *dir)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } known[] = {{0xef53, "ext4"},
                 {0x58465342, "xfs"},
                 {0x9123683e, "btrfs"},
                 {0x01021994, "tmpfs"},
                 {0x794c7630, "overlayfs"},
                 {0xf2f52010, "f2fs"},
                 {0x2fc12fc1, "zfs"}};
    struct statfs status;
    if (statfs(dir, &status) != 0) {
        return "unknown";
    }
    unsigned long magic = (unsigned long)status.f_type & 0xffffffff;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].magic == magic) {
            return known[i].name;
        }
    }
    return "unknown";
}

void bench_machine_describe(struct bench_machine *machine_out, const char *dir)
{
    struct utsname name;
    *machine_out =
        (struct bench_machine){.processors = sysconf(_SC_NPROCESSORS_ONLN),
                               .memory_mib = sysconf(_SC_PHYS_PAGES) / 1024 *
                                             (sysconf(_SC_PAGESIZE) / 1024)};
    find_processor(machine_out->processor, sizeof machine_out->processor);
    if (uname(&name) == 0) {
        (void)snprintf(machine_out->kernel,
                       sizeof machine_out->kernel,
                       "%s %s",
                       name.sysname,
                       name.release);
    }
    (void)snprintf(machine_out->file_system,
                   sizeof machine_out->file_system,
                   "%s",
                   file_system_of(dir));
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts) != NULL) {
        (void)strftime(
            machine_out->date, sizeof machine_out->date, "%Y-%m-%d", &parts);
    }
}
