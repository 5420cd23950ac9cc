/* SPDX-License-Identifier: MIT */

/* Tries one death at a time, and knows what was there before. */

#include "kill_trial.h"

#include "index/apply.h"
#include "index/header.h"
#include "kill_witness.h"
#include "store/store.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Complaints --- */

void kill_trial_complain(struct kill_trial *trial, const char *format, ...)
{
    static const char *const moments[] = {[KILL_BEFORE] = "before",
                                          [KILL_AFTER] = "after",
                                          [KILL_HALF_WRITTEN] = "halfway",
                                          [KILL_NEWLINE_MISSING] = "nearly at"};
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    trial->complaints++;
    if (!trial->is_quiet) {
        (void)fprintf(stderr,
                      "%s, %s %llu (%s), then %s: %s\n",
                      trial->operation->name,
                      moments[trial->plan.moment],
                      (unsigned long long)trial->plan.n,
                      trial->board->last_call,
                      trial->order,
                      what);
    }
}

/* --- The oracle --- */

static struct kill_key *get_key(struct kill_trial *trial, const char *name)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        if (strcmp(trial->keys[i].key, name) == 0) {
            return &trial->keys[i];
        }
    }
    if (trial->key_count == KILL_KEYS_MAX) {
        scratch_die("too many keys");
    }
    struct kill_key *key = &trial->keys[trial->key_count++];
    memset(key, 0, sizeof *key);
    (void)snprintf(key->key, sizeof key->key, "%s", name);
    return key;
}

void kill_trial_expect(struct kill_trial *trial,
                       const char *key,
                       const char *value)
{
    struct kill_key *known = get_key(trial, key);
    (void)snprintf(known->value, sizeof known->value, "%s", value);
    known->may_change = false;
}

void kill_trial_may_become(struct kill_trial *trial,
                           const char *key,
                           const char *value)
{
    struct kill_key *known = get_key(trial, key);
    (void)snprintf(known->next, sizeof known->next, "%s", value);
    known->may_change = true;
    known->is_next_told = false;
    known->partner = NULL;
}

/* --- The store to begin with --- */

static void must(struct kill_trial *trial, kvstore_status status)
{
    if (status != KVSTORE_OK) {
        kill_trial_complain(
            trial, "cannot prepare: %s", kvstore_last_error()->message);
    }
}

static void prepare_some_keys(struct kill_trial *trial)
{
    static const char text[] = "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
                               "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n"
                               "{\"Set\":{\"key\":\"gone\",\"val\":\"1\"}}\n"
                               "{\"Set\":{\"key\":\"c\",\"val\":\"old\"}}\n"
                               "{\"Remove\":{\"key\":\"gone\"}}\n"
                               "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n";
    scratch_write(trial->path, "store.log", text, sizeof text - 1);
    kill_trial_expect(trial, "a", "1");
    kill_trial_expect(trial, "b", "2");
    kill_trial_expect(trial, "c", "old");
    kill_trial_expect(trial, "gone", "");
}

void kill_trial_fill_index(struct kill_trial *trial)
{
    do {
        char key[KILL_TEXT_SIZE];
        int size = snprintf(key, sizeof key, "k%u", trial->bulk_count);
        must(trial, kvstore_set(trial->unsynced, key, (size_t)size, "bulk", 4));
        trial->bulk_count++;
    } while (kv_index_has_room(&trial->unsynced->index, 1));
}

void kill_trial_append(struct kill_trial *trial, const char *bytes)
{
    char name[sizeof trial->path + 16];
    (void)snprintf(name, sizeof name, "%s/store.log", trial->path);
    int fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, bytes, strlen(bytes)) != (ssize_t)strlen(bytes) ||
        close(fd) != 0) {
        scratch_die(name);
    }
    kv_table_set_writing(&trial->unsynced->index.table, KV_TABLE_APPENDING);
}

void kill_trial_delete_index(struct kill_trial *trial)
{
    char name[sizeof trial->path + 16];
    (void)snprintf(name, sizeof name, "%s/store.index", trial->path);
    (void)unlink(name);
}

static void begin(struct kill_trial *trial)
{
    const struct kill_operation *operation = trial->operation;
    scratch_empty(trial->base);
    trial->key_count = 0;
    trial->bulk_count = 0;
    trial->serial = 0;
    trial->is_refused = false;
    trial->longest_wait_ns = INT64_MAX;
    trial->is_completed = false;
    trial->pauses = 0;
    trial->beside_serial = 0;
    trial->board->is_acknowledged = false;
    trial->board->may_pause = false;
    trial->board->has_lock = false;
    trial->board->has_copied = false;
    kill_table_install_clock();
    if (operation->is_absent) {
        return; /* Each witness opens it first. */
    }
    scratch_empty(trial->above);
    scratch_empty(trial->path);
    prepare_some_keys(trial);
    kill_witness_open(trial);
    kill_witness_go_on(trial, "rqndrq");
    if (operation->disturb != NULL) {
        operation->disturb(trial);
    }
}

/* --- The child --- */

void kill_child_must(kvstore_status status)
{
    if (status != KVSTORE_OK) {
        (void)fprintf(
            stderr, "the child failed: %s\n", kvstore_last_error()->message);
        _exit(EXIT_FAILURE);
    }
}

void kill_child_open(struct kill_child *child, const kvstore_options *options)
{
    kvstore_options own = KVSTORE_OPTIONS_INIT;
    own.compaction = KVSTORE_COMPACT_MANUAL;
    if (options != NULL) {
        own = *options;
    }
    own.sync = child->sync;
    kill_child_must(kvstore_open(child->path, &own, &child->store));
}

void kill_child_set(struct kill_child *child,
                    const char *key,
                    const char *value)
{
    kill_child_must(
        kvstore_set(child->store, key, strlen(key), value, strlen(value)));
    child->board->is_acknowledged = true;
}

static pid_t start(struct kill_trial *trial,
                   void (*run)(struct kill_child *child),
                   const struct kill_plan *plan)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        scratch_die("fork");
    }
    if (pid == 0) {
        struct kill_child child = {.path = trial->path,
                                   .sync = trial->operation->sync,
                                   .board = trial->board,
                                   .key = trial->lost_key,
                                   .value = trial->lost_value};
        kill_table_install_plan(plan);
        run(&child);
        kvstore_close(child.store);
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

static int await_change(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, WUNTRACED) != pid) {
        scratch_die("waitpid");
    }
    return status;
}

/* Waits until a child has died, or has stopped and stays so. True: it has ended
 * well. */
static bool await(struct kill_trial *trial, pid_t pid, int signal)
{
    int status = await_change(pid);
    while (trial->board->may_pause && WIFSTOPPED(status)) {
        trial->pauses++;
        trial->operation->beside(trial);
        (void)kill(pid, SIGCONT);
        status = await_change(pid);
    }
    bool is_met = (WIFSIGNALED(status) && WTERMSIG(status) == signal) ||
                  (WIFSTOPPED(status) && WSTOPSIG(status) == signal);
    bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!is_met && !is_done) {
        kill_trial_complain(trial, "the child ended with %d", status);
    }
    return !is_met;
}

/* Notes what the child has changed, or may have. NULL: nothing. */
static void note_change(struct kill_trial *trial,
                        const char *key,
                        const char *value)
{
    if (value != NULL && trial->board->is_acknowledged) {
        kill_trial_expect(trial, key, value);
    } else if (value != NULL) {
        kill_trial_may_become(trial, key, value);
    }
}

/* The same for all that it changes. */
static void note_changes(struct kill_trial *trial)
{
    const struct kill_operation *operation = trial->operation;
    note_change(trial, operation->key, operation->value);
    if (operation->other_key != NULL) {
        note_change(trial, operation->other_key, operation->other_value);
        get_key(trial, operation->other_key)->partner =
            get_key(trial, operation->key);
    }
}

/* Lets an earlier child die where the operation says. */
static void run_first(struct kill_trial *trial)
{
    const struct kill_operation *operation = trial->operation;
    struct kill_plan plan = operation->first_plan;
    plan.signal = SIGKILL;
    pid_t pid = start(trial, operation->first_run, &plan);
    if (await(trial, pid, SIGKILL)) {
        kill_trial_complain(trial, "the first child did not die");
    }
    note_change(trial, operation->first_key, operation->first_value);
    trial->board->is_acknowledged = false;
}

static void set_of_lost_writer(struct kill_child *child)
{
    kill_child_open(child, NULL);
    kill_child_must(kvstore_set(child->store,
                                child->key,
                                strlen(child->key),
                                child->value,
                                strlen(child->value)));
}

void kill_trial_lose_writer(struct kill_trial *trial,
                            const struct kill_plan *plan,
                            const char *key,
                            const char *value)
{
    struct kill_board *board = trial->board;
    uint64_t renames = board->renames;
    trial->lost_key = key;
    trial->lost_value = value;
    board->may_pause = false;
    pid_t pid = start(trial, set_of_lost_writer, plan);
    if (await(trial, pid, SIGKILL)) {
        kill_trial_complain(trial, "the writer did not die");
    }
    board->may_pause = true;
    board->has_lock = false; /* The lock died with it. */
    board->renames = renames;
    kill_trial_may_become(trial, key, value);
}

static void run_to_death(struct kill_trial *trial)
{
    const struct kill_operation *operation = trial->operation;
    pid_t pid = start(trial, operation->run, &trial->plan);
    trial->is_completed = await(trial, pid, trial->plan.signal);
    note_changes(trial);
    if (!trial->is_completed && trial->plan.signal == SIGSTOP) {
        kill_witness_meet_stopped(trial, pid);
        (void)kill(pid, SIGCONT);
        if (!await(trial, pid, 0)) {
            kill_trial_complain(trial, "the child did not go on");
        }
        note_changes(trial);
    }
}

bool kill_trial_run(struct kill_trial *trial,
                    const struct kill_operation *operation,
                    const struct kill_plan *plan,
                    const char *order)
{
    trial->operation = operation;
    trial->plan = *plan;
    trial->plan.is_sync_failing = operation->is_sync_failing;
    trial->plan.is_write_lost = operation->is_write_lost;
    trial->order = order;
    begin(trial);
    if (operation->first_run != NULL) {
        run_first(trial);
    }
    run_to_death(trial);
    if (trial->is_completed && trial->board->renames < operation->renames) {
        kill_trial_complain(trial, "the case was not met");
    }
    if (trial->is_completed && operation->beside != NULL) {
        kill_witness_meet_new_pair(trial);
    }
    kill_witness_look_first(trial);
    kill_witness_close_case(trial);
    kill_witness_close(trial);
    return !trial->is_completed;
}

/* --- Set-up --- */

void kill_trial_set_up(struct kill_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    trial->board = kill_board_map();
    trial->lock_timeout_ms = -1; /* A dead process's lock is free at once. */
    scratch_make(trial->base);
    (void)snprintf(trial->above, sizeof trial->above, "%s/a", trial->base);
    (void)snprintf(trial->path, sizeof trial->path, "%s/store", trial->above);
    (void)snprintf(trial->alone, sizeof trial->alone, "%s/alone", trial->base);
}

void kill_trial_tear_down(struct kill_trial *trial)
{
    kv_io_swap_table(kv_io_system_table());
    scratch_remove(trial->base);
    kill_board_unmap();
}
