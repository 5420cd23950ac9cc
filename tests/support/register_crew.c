/* SPDX-License-Identifier: MIT */

/* How the crews work. */

#include "register_crew.h"

#include "os/file.h"
#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILLER_KEYS 3000 /* At a time: the index grows twice. */
#define FILLER_REST 32   /* It rests this many times less often than others. */
#define BURST 40         /* On average this many calls come in a row; */
#define REST_NS UINT64_C(6000000) /* then none for at most this long. */
#define PAUSE_NS UINT64_C(400000) /* Within a call, at most. */
#define PAUSES_ONE_IN 400
#define OFTEN 4000 /* One in this many steps of each write is the last, */
#define SELDOM 60  /* and of each change of a name. */

_Static_assert(REGISTER_CLIENTS == REGISTER_CREWS * REGISTER_CREW_THREADS,
               "each thread is a client");

/* --- What crews do --- */

static const struct habit {
    unsigned threads;
    bool share_a_handle;
    int sync;
    bool read_only;
    unsigned sets; /* Out of a hundred. */
    unsigned removes;
    unsigned calls_to_reopen; /* 0: never */
} habits[REGISTER_CREWS] = {
    {3, true, KVSTORE_SYNC_ALWAYS, false, 30, 12, 0},
    {3, false, KVSTORE_SYNC_NONE, false, 30, 12, 400},
    {2, true, KVSTORE_SYNC_NONE, false, 20, 5, 0},
    {2, false, KVSTORE_SYNC_ALWAYS, true, 0, 0, 20},
    {1, true, KVSTORE_SYNC_ALWAYS, false, 0, 0, 0},
    {1, true, KVSTORE_SYNC_NONE, false, 0, 0, 0},
};

static kvstore *open_store(const struct register_plan *plan,
                           const struct habit *habit)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync = habit->sync;
    options.read_only = habit->read_only;
    options.lock_timeout_ms = 60000;
    options.compaction_threshold = 40000;
    options.compaction_percent = 30;
    if (kvstore_open(plan->path, &options, &store) != KVSTORE_OK) {
        (void)fprintf(stderr, "open: %s\n", kvstore_last_error()->message);
        plan->board->failures++;
        _exit(EXIT_FAILURE);
    }
    return store;
}

static uint64_t seed_of(unsigned client)
{
    return (history_now_ns() * UINT64_C(0x9e3779b97f4a7c15)) ^ (client + 1u);
}

struct thread {
    struct register_crew *crew;
    unsigned client;
};

static bool is_over(const struct register_plan *plan)
{
    return plan->history->begun >= plan->calls || plan->board->failures > 0;
}

/* So that calls come in bursts, from these threads now and from those then, and
 * a thread that does not wait for locks does not make all the calls. */
static void rest_by_chance(uint64_t *state)
{
    if (register_random_below(state, BURST) == 0) {
        struct timespec rest = {
            .tv_nsec = (long)register_random_below(state, REST_NS)};
        (void)nanosleep(&rest, NULL);
    }
}

/* Runs one thread: makes calls until there are enough. */
static void *work(void *context)
{
    struct register_crew *crew = ((struct thread *)context)->crew;
    const struct register_plan *plan = crew->plan;
    const struct habit *habit = &habits[crew->number];
    unsigned number = ((struct thread *)context)->client;
    free(context);
    struct register_client client = {.history = plan->history,
                                     .failures = &plan->board->failures,
                                     .number = number,
                                     .keys = plan->keys,
                                     .sets = habit->sets,
                                     .removes = habit->removes,
                                     .twin = plan->twin,
                                     .random_state = seed_of(number)};
    kvstore *store = crew->shared;
    while (!is_over(plan)) {
        if (store == NULL) {
            store = open_store(plan, habit);
        }
        (void)register_client_call(&client, store);
        rest_by_chance(&client.random_state);
        if (crew->shared == NULL &&
            register_random_below(&client.random_state,
                                  habit->calls_to_reopen) == 0) {
            kvstore_close(store);
            store = NULL;
        }
    }
    if (crew->shared == NULL) {
        kvstore_close(store);
    }
    return NULL;
}

/* Sets many keys, removes them, and again: the index grows, more becomes stale,
 * and a compaction makes the index small. */
static void *fill(void *context)
{
    struct register_crew *crew = ((struct thread *)context)->crew;
    const struct register_plan *plan = crew->plan;
    uint64_t random_state = seed_of(((struct thread *)context)->client);
    free(context);
    while (!is_over(plan)) {
        /* Goes on where the one that was killed left off. */
        uint64_t i = plan->board->fillers++;
        char key[32];
        size_t size = (size_t)snprintf(
            key, sizeof key, "filler-%d", (int)(i % FILLER_KEYS));
        kvstore_status status =
            i / FILLER_KEYS % 2 == 0
                ? kvstore_set(crew->shared, key, size, "filler", 6)
                : kvstore_remove(crew->shared, key, size);
        if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
            (void)fprintf(stderr, "fill: %s\n", kvstore_last_error()->message);
            plan->board->failures++;
        }
        if (i % FILLER_REST == 0) {
            rest_by_chance(&random_state);
        }
    }
    return NULL;
}

void register_crew_start(struct register_crew *crew,
                         const struct register_plan *plan,
                         unsigned number)
{
    const struct habit *habit = &habits[number];
    *crew = (struct register_crew){
        .plan = plan, .number = number, .threads = habit->threads};
    if (habit->share_a_handle) {
        crew->shared = open_store(plan, habit);
    }
    for (unsigned i = 0; i < crew->threads; i++) {
        struct thread *thread = malloc(sizeof *thread);
        if (thread == NULL) {
            scratch_die("thread");
        }
        *thread = (struct thread){.crew = crew,
                                  .client = number * REGISTER_CREW_THREADS + i};
        if (pthread_create(&crew->ids[i],
                           NULL,
                           number == REGISTER_CREW_FILLING ? fill : work,
                           thread) != 0) {
            scratch_die("thread");
        }
    }
}

void register_crew_join(struct register_crew *crew)
{
    for (unsigned i = 0; i < crew->threads; i++) {
        (void)pthread_join(crew->ids[i], NULL);
    }
    kvstore_close(crew->shared);
}

/* --- Watched steps --- */

static const struct register_plan *watched;
static struct kv_io_table table;
static _Thread_local uint64_t fate;
static _Thread_local bool has_renamed_log;

static bool is_last(uint64_t one_in)
{
    fate = fate == 0 ? seed_of(0) : fate;
    return watched->are_suicidal && register_random_below(&fate, one_in) == 0;
}

/* Kills all threads of the process, at once. */
static void die(void)
{
    watched->board->suicides++;
    (void)kill(getpid(), SIGKILL);
}

/* Pauses where others may come in between. */
static void pause_by_chance(uint64_t one_in)
{
    fate = fate == 0 ? seed_of(0) : fate;
    if (register_random_below(&fate, one_in) == 0) {
        struct timespec pause = {
            .tv_nsec = (long)register_random_below(&fate, PAUSE_NS)};
        (void)nanosleep(&pause, NULL);
    }
}

static void die_by_chance(uint64_t one_in)
{
    if (is_last(one_in)) {
        die();
    }
}

static void dying_step(const char *name)
{
    pause_by_chance(PAUSES_ONE_IN);
    die_by_chance(strcmp(name, "state") == 0 ? SELDOM : OFTEN);
}

/* The last thing written may be a part of a line. */
static ssize_t dying_pwrite(int fd,
                            const void *bytes,
                            size_t size,
                            off_t offset)
{
    const struct kv_io_table *system = kv_io_system_table();
    if (is_last(OFTEN)) {
        (void)system->pwrite(
            fd, bytes, (size_t)register_random_below(&fate, size), offset);
        die();
    }
    ssize_t result = system->pwrite(fd, bytes, size, offset);
    die_by_chance(OFTEN);
    return result;
}

/* On a disk it would take long. */
static int dying_fdatasync(int fd)
{
    pause_by_chance(PAUSES_ONE_IN / 20);
    die_by_chance(OFTEN);
    return kv_io_system_table()->fdatasync(fd);
}

static off_t size_by_name(int dir_fd, const char *name)
{
    struct stat stat;
    return fstatat(dir_fd, name, &stat, 0) == 0 ? stat.st_size : 0;
}

static void count_rename(const char *to, off_t size_before, off_t size)
{
    bool is_log = strcmp(to, "store.log") == 0;
    if (is_log) {
        watched->board->compactions++;
    } else if (!has_renamed_log && size_before > 0 && size > size_before) {
        watched->board->growths++;
    } else if (!has_renamed_log) {
        watched->board->rebuilds++;
    }
    has_renamed_log = is_log;
}

static int counting_renameat(int dir_fd, const char *from, const char *to)
{
    off_t size_before = size_by_name(dir_fd, to);
    die_by_chance(SELDOM);
    int result = kv_io_system_table()->renameat(dir_fd, from, to);
    if (result == 0) {
        count_rename(to, size_before, size_by_name(dir_fd, to));
    }
    die_by_chance(SELDOM);
    return result;
}

void register_watch_steps(const struct register_plan *plan)
{
    watched = plan;
    table = *kv_io_system_table();
    table.renameat = counting_renameat;
    table.step = dying_step;
    table.pwrite = dying_pwrite;
    table.fdatasync = dying_fdatasync;
    kv_io_swap_table(&table);
}
