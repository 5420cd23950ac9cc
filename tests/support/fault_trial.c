/* SPDX-License-Identifier: MIT */

/* Faults in a workload, one after the other, and what is checked after each. */

#include "fault_trial.h"

#include "os/error.h"
#include "os/system.h"
#include "trial_changes.h"
#include "trial_oracle.h"
#include "trial_reads.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* --- Preparing --- */

static trial_mark call_at_mark;

void trial_call_at_marks(trial_mark mark)
{
    call_at_mark = mark;
}

void trial_log(struct trial *trial, const char *text)
{
    scratch_empty(trial->path);
    scratch_write(trial->path, "store.log", text, strlen(text));
}

void trial_wait(void)
{
    kv_io_sleep_ns(INT64_C(1000000000));
}

void trial_arm(struct trial *trial)
{
    free(trial->log);
    trial->log = scratch_read(trial->path, "store.log", &trial->log_size);
    if (trial->log_size > trial->workload->kept_size) {
        trial->log_size = trial->workload->kept_size;
    }
    const struct trial_plan *plan = &trial->plan;
    if (plan->second == NULL) {
        fault_table_plan(plan->kind, plan->n, plan->is_for_good);
    } else {
        fault_table_plan_pair(
            plan->kind, plan->n, plan->second, plan->second_n);
    }
    if (call_at_mark != NULL) {
        call_at_mark(trial->workload, true);
    }
}

/* --- After the workload --- */

static void check_values(struct trial *trial)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        trial_get(trial, trial->keys[i].key);
    }
    trial_get_many(trial);
    if (trial->batch_count > 0) {
        trial_check_batch(trial);
    }
    trial_stats(trial);
}

static bool takes_no_write(const struct trial *trial)
{
    return (trial->workload->marks & TRIAL_TAKES_NO_WRITE) != 0;
}

static void check_set(struct trial *trial, const char *value)
{
    if (takes_no_write(trial)) {
        trial_set_refused(trial, "after", KVSTORE_UNSUPPORTED);
        return;
    }
    size_t size = strlen(value);
    kvstore_status status = kvstore_set(trial->store, "after", 5, value, size);
    if (status == KVSTORE_IO &&
        strstr(kvstore_last_error()->message, "a sync of") != NULL &&
        kvstore_compact(trial->store) == KVSTORE_OK) {
        /* The index remembers the failure for all processes. */
        status = kvstore_set(trial->store, "after", 5, value, size);
    }
    if (status != KVSTORE_OK) {
        trial_complain(
            trial, "the next set: %s", kvstore_last_error()->message);
        return;
    }
    trial_expect(trial, "after", value);
    trial_get(trial, "after");
}

static void check_compaction(struct trial *trial)
{
    if (!takes_no_write(trial)) {
        trial_compact(trial);
    }
}

/* After a failed sync. */
static void check_refusal(struct trial *trial, uint64_t syncs)
{
    kvstore_status status = kvstore_set(trial->store, "after", 5, "refused", 7);
    if (status == KVSTORE_OK && !trial->is_sync_lost) {
        trial_expect(trial, "after", "refused");
    } else if (status != KVSTORE_IO) {
        trial_complain(trial, "a set after a failed sync: %d", status);
    }
    if (!trial->is_sync_lost) {
        return;
    }
    if (kvstore_sync(trial->store) != KVSTORE_IO) {
        trial_complain(trial, "a sync after a failed sync was no failure");
    }
    if (fault_table_calls(FAULT_FDATASYNC) != syncs) {
        trial_complain(trial, "a failed sync was tried again");
    }
}

/* Checks the handle that met the fault, once the fault is over. */
static void check_handle(struct trial *trial, bool directory_sync_failed)
{
    uint64_t syncs = fault_table_calls(FAULT_FDATASYNC);
    bool may_refuse =
        trial->is_sync_lost || trial->may_refuse || directory_sync_failed;
    check_values(trial);
    trial_check_watch(trial);
    if (may_refuse && !takes_no_write(trial)) {
        check_refusal(trial, syncs);
        trial_compact(trial);
    }
    check_set(trial, "same handle");
    check_compaction(trial);
    check_values(trial);
    trial_check_watch(trial);
    trial_check_backup(trial);
}

static void check_leaks(struct trial *trial)
{
    if (fault_table_open_files() != 0) {
        trial_complain(
            trial, "%d descriptors are open", fault_table_open_files());
    }
    if (fault_table_allocations() != 0) {
        trial_complain(trial,
                       "%lld allocations are left",
                       (long long)fault_table_allocations());
    }
    if (fault_table_misuses() != 0) {
        trial_complain(trial, "closed or freed what was not its own");
    }
    if (kv_error_is_held()) {
        trial_complain(trial, "an error is held that nobody releases");
    }
}

static void check_lock(struct trial *trial)
{
    int fd = open(trial->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return; /* The directory was never made. */
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        trial_complain(trial, "the lock is still held");
    }
    (void)close(fd);
}

static void check_name(void *context, const char *name)
{
    struct trial *trial = context;
    bool is_known =
        strcmp(name, "store.log") == 0 || strcmp(name, "store.index") == 0;
    bool is_leftover = strcmp(name, "store.log.compact") == 0 ||
                       strncmp(name, "store.index.", 12) == 0;
    bool is_cut = strncmp(name, "store.log.cut-", 14) == 0;
    if (!is_known && !is_leftover &&
        !(is_cut && (trial->workload->marks & TRIAL_LEAVES_CUTS) != 0)) {
        trial_complain(trial, "%s was left behind", name);
    }
}

/* The file may be left only where it could not be removed, or recognised as
 * ours. */
static void check_leftover(struct trial *trial)
{
    bool is_excused = fault_table_fired_at(FAULT_UNLINKAT) > 0 ||
                      fault_table_fired_at(FAULT_FLOCK) > 0 ||
                      fault_table_fired_at(FAULT_FSTAT) > 0 ||
                      fault_table_fired_at(FAULT_FSTATAT) > 0 ||
                      fault_table_fired_at(FAULT_OPENAT) > 0 ||
                      (trial->workload->marks & TRIAL_HAS_LEFTOVER) != 0;
    if (!is_excused && scratch_has(trial->path, "store.log.compact")) {
        trial_complain(trial, "store.log.compact was left behind");
    }
}

static void check_prefix(struct trial *trial)
{
    size_t size = 0;
    char *log = scratch_read(trial->path, "store.log", &size);
    if (trial->log_size > 0 &&
        (size < trial->log_size ||
         memcmp(log, trial->log, trial->log_size) != 0)) {
        trial_complain(trial, "bytes of the log were cut or changed");
    }
    free(log);
}

/* Opens a new handle: everything acknowledged is there, and nothing else. */
static void check_reopened(struct trial *trial)
{
    if (!trial_open(trial, NULL)) {
        return;
    }
    check_values(trial);
    check_set(trial, "new handle");
    check_compaction(trial);
    check_values(trial);
    trial_check_late(trial);
    trial_close(trial);
    if (scratch_has(trial->path, "store.log.compact")) {
        trial_complain(trial, "a compaction left its file behind");
    }
    scratch_list(trial->path, check_name, trial);
}

static void judge(struct trial *trial)
{
    bool directory_sync_failed = fault_table_fired_at(FAULT_FSYNC) > 0;
    trial->may_lack_late = fault_table_fired_at(FAULT_FDATASYNC) +
                               fault_table_fired_at(FAULT_FSYNC) >
                           0;
    check_leftover(trial);
    check_prefix(trial);
    fault_table_plan(NULL, 0, false);
    trial->syncs_fired = 0;
    if (trial->store != NULL) {
        check_handle(trial, directory_sync_failed);
        trial_close(trial);
    } else {
        trial_check_backup(trial);
    }
    check_leaks(trial);
    check_lock(trial);
    check_reopened(trial);
    check_leaks(trial);
}

/* Runs one trial. Returns how many calls the plan has counted; faults_out: how
 * many have failed. */
static uint64_t run(const struct trial_workload *workload,
                    const struct trial_plan *plan,
                    struct trial_figures *figures,
                    uint64_t *faults_out)
{
    struct trial trial = {.workload = workload, .plan = *plan};
    char root[SCRATCH_PATH_SIZE];
    scratch_make(root);
    (void)snprintf(trial.path, sizeof trial.path, "%s/store", root);
    fault_table_install();
    workload->prepare(&trial);
    workload->act(&trial);
    if (call_at_mark != NULL) {
        call_at_mark(workload, false);
    }
    uint64_t counted = fault_table_position();
    *faults_out = fault_table_fired();
    judge(&trial);
    free(trial.log);
    fault_table_uninstall();
    scratch_remove(root);
    figures->complaints += trial.complaints;
    return counted;
}

/* --- All faults --- */

static void run_kind(const struct trial_workload *workload,
                     const struct fault_kind *kind,
                     bool is_for_good,
                     struct trial_figures *figures)
{
    uint64_t faults = 1;
    for (uint64_t n = 1; faults > 0; n++) {
        const struct trial_plan plan = {
            .kind = kind, .n = n, .is_for_good = is_for_good};
        (void)run(workload, &plan, figures, &faults);
        figures->faults += faults > 0 ? 1 : 0;
    }
}

void trial_run_all(const struct trial_workload *workload,
                   const struct fault_kind *kinds,
                   size_t kind_count,
                   size_t part,
                   struct trial_figures *figures)
{
    for (size_t i = 0; i < kind_count; i++) {
        const struct fault_kind *kind = &kinds[i];
        bool is_whole = part == 0 || (part + i) % TRIAL_PARTS == 0;
        if (is_whole || kind->is_common) {
            run_kind(workload, kind, false, figures);
        }
        if (is_whole && kind->may_repeat) {
            run_kind(workload, kind, true, figures);
        }
    }
}

uint64_t trial_run_plainly(const struct trial_workload *workload,
                           const struct fault_kind *kind,
                           struct trial_figures *figures)
{
    const struct trial_plan plan = {.kind = kind, .n = UINT64_MAX};
    uint64_t faults = 0;
    return run(workload, &plan, figures, &faults);
}

void trial_run_pairs(const struct trial_workload *workload,
                     const struct fault_kind *first,
                     const struct fault_kind *second,
                     struct trial_figures *figures)
{
    uint64_t calls = trial_run_plainly(workload, first, figures);
    for (uint64_t n = 1; n <= calls; n++) {
        uint64_t counted = UINT64_MAX;
        for (uint64_t m = n + 1; m <= counted; m++) {
            const struct trial_plan plan = {
                .kind = first, .n = n, .second = second, .second_n = m};
            uint64_t faults = 0;
            counted = run(workload, &plan, figures, &faults);
            figures->faults += faults;
            figures->pairs += faults > 1 ? 1 : 0;
        }
    }
}
