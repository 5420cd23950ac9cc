/* SPDX-License-Identifier: MIT */

/* A store with a log of which about half is stale: all keys were set once, and
 * then random ones as many times again, so that live and stale lines are mixed
 * as they are after some time of use. The first workload that needs it makes it
 * in the scratch directory; all get copies of its log, without the index, which
 * is built when they open it. */

#include "stale.h"

#include "directory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A compaction is due at 1 MiB of stale bytes; this many lines are more. */
#define OVERWRITE_COUNT_MIN 14000u

static bool make_in(const struct bench_run *run, const char *dir)
{
    struct bench_run making = *run;
    struct bench_opened opened;
    struct bench_done done;
    making.settings.dir = dir;
    making.settings.is_alone = true;
    making.settings.compacts_by_order = true;
    uint64_t keys = making.settings.keys;
    const struct bench_load load = {
        .step = bench_step_overwrite,
        .count_max = keys > OVERWRITE_COUNT_MIN ? keys : OVERWRITE_COUNT_MIN,
        .seconds = making.prepare_seconds};
    bool is_done = bench_directory_make(dir) && bench_open(&making, &opened);
    if (!is_done) {
        return false;
    }
    is_done = bench_fill(&making, &opened, 0) &&
              bench_drive(&making, &opened, &load, &done) &&
              (done.count == load.count_max ||
               bench_fail("too slow: not half of it was stale after %.0f s",
                          making.prepare_seconds));
    bench_close(&opened);
    return is_done;
}

bool bench_stale_copy(struct bench_run *run)
{
    char dir[PATH_MAX];
    char unfinished[PATH_MAX];
    char name[64];
    (void)snprintf(name,
                   sizeof name,
                   "stale-%s-%llu",
                   run->store->family,
                   (unsigned long long)run->settings.keys);
    if (!bench_path(dir, sizeof dir, run->scratch_dir, name) ||
        !bench_path(
            unfinished, sizeof unfinished, run->scratch_dir, "unfinished")) {
        return false;
    }
    struct stat status;
    if (stat(dir, &status) != 0 &&
        (!make_in(run, unfinished) || rename(unfinished, dir) != 0)) {
        return bench_fail("cannot make '%s': %s", dir, strerror(errno));
    }
    return bench_directory_copy(dir, run->settings.dir, run->store->index_file);
}
