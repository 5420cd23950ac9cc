/* SPDX-License-Identifier: MIT */

/* How each role works. */

#include "model_cast.h"

#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534
#define FILLER_KEYS 2000 /* The index grows twice. */
#define REST_NS UINT64_C(2000000)

_Static_assert(MODEL_CLIENTS < HISTORY_CLIENTS, "there is one more");

static const struct habit {
    unsigned threads;
    bool share_a_handle;
    bool read_only;
    bool exclusive;
    int sync;
    int compaction;
    unsigned sets; /* Out of a hundred. */
    unsigned removes;
    unsigned calls_to_reopen; /* On average; 0: never */
    unsigned calls_to_rest;   /* Else a role that only reads would make all the
                                 calls. */
    int32_t lock_timeout_ms;
} habits[MODEL_ROLES] = {
    [MODEL_DURABLE] = {.threads = 3,
                       .share_a_handle = true,
                       .sets = 30,
                       .removes = 12,
                       .calls_to_rest = 60,
                       .lock_timeout_ms = 500},
    [MODEL_UNSYNCED] = {.threads = 2,
                        .sync = KVSTORE_SYNC_NONE,
                        .compaction = KVSTORE_COMPACT_INLINE,
                        .sets = 30,
                        .removes = 12,
                        .calls_to_reopen = 200,
                        .calls_to_rest = 60,
                        .lock_timeout_ms = 20},
    [MODEL_EXCLUSIVE] = {.threads = 1,
                         .exclusive = true,
                         .sync = KVSTORE_SYNC_NONE,
                         .sets = 40,
                         .removes = 15,
                         .calls_to_reopen = 60,
                         .calls_to_rest = 60,
                         .lock_timeout_ms = 50},
    [MODEL_READER] = {.threads = 2,
                      .read_only = true,
                      .calls_to_reopen = 20,
                      .calls_to_rest = 4,
                      .lock_timeout_ms = 500},
    [MODEL_STRANGER] = {.threads = 1,
                        .read_only = true,
                        .calls_to_reopen = 10,
                        .calls_to_rest = 4,
                        .lock_timeout_ms = 500},
    [MODEL_WITNESS] = {.threads = 1,
                       .share_a_handle = true,
                       .compaction = KVSTORE_COMPACT_MANUAL,
                       .calls_to_rest = 4,
                       .lock_timeout_ms = 500},
    [MODEL_COMMANDS] = {.threads = 1,
                        .sets = 40,
                        .removes = 15,
                        .calls_to_rest = 20},
    [MODEL_KEEPER] = {.threads = 1,
                      .share_a_handle = true,
                      .sync = KVSTORE_SYNC_NONE,
                      .compaction = KVSTORE_COMPACT_MANUAL,
                      .calls_to_rest = 200,
                      .lock_timeout_ms = 20},
};

struct actor {
    const struct model_plan *plan;
    const struct habit *habit;
    enum model_role role;
    kvstore *shared;
    struct register_client clients[MODEL_THREADS];
};

struct part {
    struct actor *actor;
    struct register_client *client;
};

static bool is_over(const struct model_plan *plan)
{
    return plan->history->begun >= plan->board->until ||
           plan->board->failures > 0;
}

static void rest(uint64_t *random_state)
{
    struct timespec pause = {
        .tv_nsec = (long)register_random_below(random_state, REST_NS)};
    (void)nanosleep(&pause, NULL);
}

/* True for a failure that may be: the lock is taken, the disk is full. */
static bool is_excused(const struct model_plan *plan, kvstore_status status)
{
    if (status == KVSTORE_BUSY) {
        plan->board->busy++;
        return true;
    }
    bool is_ok = status == KVSTORE_OK || status == KVSTORE_NOT_FOUND;
    if (plan->may_be_full && !is_ok &&
        (kvstore_last_error()->system_errno == ENOSPC ||
         (status == KVSTORE_IO && kvstore_last_error()->system_errno == 0))) {
        plan->board->full++;
        return true;
    }
    return is_ok;
}

static void excuse(const struct actor *actor,
                   kvstore_status status,
                   const char *call)
{
    if (!is_excused(actor->plan, status)) {
        (void)fprintf(stderr,
                      "role %d: %s: %s\n",
                      (int)actor->role,
                      call,
                      kvstore_last_error()->message);
        actor->plan->board->failures++;
    }
}

/* Returns NULL if it cannot be opened now. */
static kvstore *open_store(const struct actor *actor)
{
    const struct habit *habit = actor->habit;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync = habit->sync;
    options.compaction = habit->compaction;
    options.read_only = habit->read_only;
    options.exclusive = habit->exclusive;
    options.no_create = true;
    options.lock_timeout_ms = habit->lock_timeout_ms;
    options.compaction_threshold = 40000;
    options.compaction_percent = 30;
    kvstore_status status = kvstore_open(actor->plan->path, &options, &store);
    excuse(actor, status, "open");
    return store;
}

/* --- The keeper --- */

static bool visit_damage(void *context, const kvstore_damage *damage)
{
    const struct actor *actor = context;
    (void)fprintf(stderr,
                  "verify: kind %d at %llu\n",
                  damage->kind,
                  (unsigned long long)damage->offset);
    actor->plan->board->failures++;
    return false;
}

/* Sets many keys, then removes them: the index grows, and more is stale than
 * not. */
static void fill_one(const struct actor *actor, kvstore *store)
{
    uint64_t i = actor->plan->board->fillers++;
    char key[32];
    size_t size =
        (size_t)snprintf(key, sizeof key, "filler-%d", (int)(i % FILLER_KEYS));
    kvstore_status status = i / FILLER_KEYS % 2 == 0
                                ? kvstore_set(store, key, size, "filler", 6)
                                : kvstore_remove(store, key, size);
    excuse(actor, status, "fill");
}

static void keep_house(const struct actor *actor,
                       struct register_client *client,
                       kvstore *store)
{
    kvstore_status status = KVSTORE_OK;
    kvstore_stats stats;
    uint64_t dice = register_random_below(&client->random_state, 400);
    if (dice == 0) {
        status = kvstore_compact(store);
        actor->plan->board->compactions += status == KVSTORE_OK ? 1 : 0;
        excuse(actor, status, "compact");
    } else if (dice == 1) {
        excuse(actor,
               kvstore_verify(store, visit_damage, (void *)(uintptr_t)actor),
               "verify");
    } else if (dice == 2) {
        excuse(actor, kvstore_sync(store), "sync");
    } else if (dice == 3) {
        status = kvstore_get_stats(store, &stats);
        excuse(actor, status, "stats");
        if (status == KVSTORE_OK && stats.damaged_records > 0) {
            (void)fprintf(stderr, "stats tell of damage\n");
            actor->plan->board->failures++;
        }
    } else {
        fill_one(actor, store);
    }
}

/* --- All of them --- */

static void act(const struct actor *actor,
                struct register_client *client,
                kvstore *store)
{
    if (actor->role == MODEL_COMMANDS) {
        (void)register_client_command(
            client, actor->plan->program, actor->plan->path);
    } else if (actor->role == MODEL_KEEPER) {
        keep_house(actor, client, store);
    } else {
        (void)register_client_call(client, store);
    }
}

static void *work(void *context)
{
    struct actor *actor = ((struct part *)context)->actor;
    struct register_client *client = ((struct part *)context)->client;
    const struct habit *habit = actor->habit;
    kvstore *store = actor->shared;
    while (!is_over(actor->plan)) {
        if (store == NULL && actor->role != MODEL_COMMANDS) {
            store = open_store(actor);
        }
        if (store != NULL || actor->role == MODEL_COMMANDS) {
            act(actor, client, store);
        }
        if (store == NULL || register_random_below(&client->random_state,
                                                   habit->calls_to_rest) == 0) {
            rest(&client->random_state);
        }
        if (actor->shared == NULL && habit->calls_to_reopen > 0 &&
            register_random_below(&client->random_state,
                                  habit->calls_to_reopen) == 0) {
            kvstore_close(store);
            store = NULL;
            rest(&client->random_state);
        }
    }
    if (actor->shared == NULL) {
        kvstore_close(store);
    }
    return NULL;
}

static void run_all(struct actor *actor, uint64_t seed)
{
    pthread_t ids[MODEL_THREADS];
    struct part parts[MODEL_THREADS];
    const struct habit *habit = actor->habit;
    while (habit->share_a_handle && actor->shared == NULL &&
           !is_over(actor->plan)) {
        actor->shared = open_store(actor);
    }
    for (unsigned i = 0; i < habit->threads; i++) {
        actor->clients[i] = (struct register_client){
            .history = actor->plan->history,
            .failures = &actor->plan->board->failures,
            .number = actor->role * MODEL_THREADS + i,
            .keys = actor->plan->keys,
            .sets = habit->sets,
            .removes = habit->removes,
            .twin = actor->plan->twin,
            .may_be_full = actor->plan->may_be_full,
            .random_state = (seed * UINT64_C(0x9e3779b97f4a7c15) + i) | 1};
        parts[i] = (struct part){actor, &actor->clients[i]};
        if (pthread_create(&ids[i], NULL, work, &parts[i]) != 0) {
            scratch_die("thread");
        }
    }
    for (unsigned i = 0; i < habit->threads; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    kvstore_close(actor->shared);
}

pid_t model_cast_start(const struct model_plan *plan,
                       enum model_role role,
                       uint64_t seed)
{
    struct actor actor = {.plan = plan, .habit = &habits[role], .role = role};
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        scratch_die("fork");
    }
    if (pid > 0) {
        (void)setpgid(pid, pid);
        return pid;
    }
    (void)setpgid(0, 0);
    if (role == MODEL_STRANGER && getuid() == 0 &&
        (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        scratch_die("another user");
    }
    run_all(&actor, seed);
    _exit(EXIT_SUCCESS);
}

bool model_cast_await(const struct model_plan *plan,
                      enum model_role role,
                      pid_t pid)
{
    int status = 0;
    bool is_well =
        waitpid(pid, &status, 0) == pid &&
        ((WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) ||
         (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    /* A command that it ran is this process's child now. */
    while (waitpid(-pid, NULL, 0) > 0) {
    }
    for (unsigned i = 0; i < MODEL_THREADS; i++) {
        history_bury(plan->history, role * MODEL_THREADS + i);
    }
    return is_well;
}
