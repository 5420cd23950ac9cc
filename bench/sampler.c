/* SPDX-License-Identifier: MIT */

/* Measures how large the directory of a store is, again and again.
 *
 * A compaction is taken to run from the last sample without a new log until the
 * new log is gone again. What was set meanwhile is in the log that it leaves,
 * where the next compaction finds it: so the bound allows for it once more.
 * Files that have lost their name but are still open are not seen. */

#include "sampler.h"

#include "workload.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define PAUSE_NANOSECONDS 2000000

uint64_t bench_sampler_bound(const struct bench_sampler *sampler,
                             const struct bench_sample *sample)
{
    return 3 * sampler->live_bytes + (2u << 20) + sample->index_allocated +
           sample->beside_before + 2 * sample->beside;
}

/* Adds one file to a sample. */
static void add_file(const struct bench_store *store,
                     const char *name,
                     const struct stat *status,
                     struct bench_sample *sample)
{
    uint64_t allocated = (uint64_t)status->st_blocks * 512;
    uint64_t length = (uint64_t)status->st_size;
    sample->allocated += allocated;
    sample->length += length;
    if (strcmp(name, store->log_file) == 0) {
        sample->log_length = length;
        sample->log_inode = (uint64_t)status->st_ino;
    } else if (strcmp(name, store->new_log_file) == 0) {
        sample->is_compacting = true;
    } else if (strcmp(name, store->index_file) == 0) {
        sample->index_inode = (uint64_t)status->st_ino;
        sample->index_length = length;
    }
    if (strncmp(name, store->index_file, strlen(store->index_file)) == 0) {
        sample->index_allocated += allocated;
    }
}

static bool take_sample(const struct bench_sampler *sampler,
                        struct bench_sample *sample_out)
{
    DIR *directory = opendir(sampler->dir);
    *sample_out = (struct bench_sample){0};
    if (directory == NULL) {
        return false;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat status;
        /* A file that has gone meanwhile takes no room. */
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 &&
            S_ISREG(status.st_mode)) {
            add_file(sampler->store, entry->d_name, &status, sample_out);
        }
    }
    (void)closedir(directory);
    return true;
}

static void keep(struct bench_sampler *sampler,
                 const struct bench_sample *before,
                 const struct bench_sample *now)
{
    sampler->samples++;
    if (now->log_inode != 0 && before->log_inode != 0 &&
        now->log_inode != before->log_inode) {
        sampler->log_count++;
        sampler->log_bytes += now->log_length;
    }
    if (now->index_inode != 0 && before->index_inode != 0 &&
        now->index_inode != before->index_inode) {
        sampler->index_bytes += now->index_length;
    }
    if (now->allocated > sampler->allocated_max) {
        sampler->allocated_max = now->allocated;
    }
    if (now->length > sampler->length_max) {
        sampler->length_max = now->length;
    }
    double share =
        (double)now->allocated / (double)bench_sampler_bound(sampler, now);
    if (share > sampler->worst_share) {
        sampler->worst_share = share;
        sampler->worst = *now;
    }
}

static void *run_sampler(void *argument)
{
    struct bench_sampler *sampler = argument;
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    struct bench_sample before = {0};
    uint64_t set_before = 0;
    uint64_t begun = 0; /* How much had been set when the compaction began. */
    while (!atomic_load(&sampler->must_end)) {
        struct bench_sample now;
        if (take_sample(sampler, &now)) {
            uint64_t set = atomic_load(&sampler->set_bytes);
            bool begins = now.is_compacting && !before.is_compacting;
            begun = begins ? set_before : begun;
            now.beside_before = begins ? before.beside : before.beside_before;
            now.beside = now.is_compacting ? set - begun : before.beside;
            set_before = set;
            atomic_store(&sampler->is_compacting, now.is_compacting);
            keep(sampler, &before, &now);
            before = now;
        }
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

bool bench_sampler_start(struct bench_sampler *sampler)
{
    return pthread_create(&sampler->thread, NULL, run_sampler, sampler) == 0 ||
           bench_fail("no thread to be had");
}

void bench_sampler_end(struct bench_sampler *sampler)
{
    atomic_store(&sampler->must_end, true);
    (void)pthread_join(sampler->thread, NULL);
}
