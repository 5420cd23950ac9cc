/* SPDX-License-Identifier: MIT */

/* Who writes what, and where the power is cut. */

#include "power_crew.h"

#include "os/file.h"
#include "power_actor.h"
#include "power_check.h"
#include "register_client.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY POWER_CLIENTS
#define THREADS 2
#define READER 5 /* A process that only reads. */
#define READ_CLIENTS 3
#define STAYS_AWAY_ONE_IN 4

/* --- Who there is --- */

static const struct role {
    unsigned store;
    enum power_habit habit;
    uint32_t keys;
    uint32_t value_max;
} roles[POWER_CLIENTS] = {
    {POWER_SHARED, POWER_SINGLES, 60, POWER_VALUE_MAX - 64},
    {POWER_SHARED, POWER_SINGLES, 60, 9000},
    {POWER_SHARED, POWER_BATCHES, 900, 60},
    {POWER_SHARED, POWER_TELLER, 1, 0},
    {POWER_SHARED, POWER_TELLER, 1, 0},
    {POWER_SHARED, POWER_UNSYNCED, 80, 3000},
    {POWER_EXCLUSIVE, POWER_SINGLES, 60, 9000},
    {POWER_EXCLUSIVE, POWER_BATCHES, 900, 60},
    {POWER_EXCLUSIVE, POWER_UNSYNCED, 80, POWER_VALUE_MAX - 64},
    {POWER_SHARED, POWER_CHECKER, 3, 100},
    {POWER_EXCLUSIVE, POWER_CHECKER, 3, 100},
};

static const unsigned checkers[POWER_STORES] = {9, 10};

/* Each process has one handle. Of the last two, one is there at a time. */
static const struct process {
    unsigned store;
    int sync;
    int compaction;
    unsigned clients[THREADS];
} processes[POWER_PROCESSES] = {
    {POWER_SHARED, KVSTORE_SYNC_ALWAYS, KVSTORE_COMPACT_BACKGROUND, {0, 1}},
    {POWER_SHARED, KVSTORE_SYNC_ALWAYS, KVSTORE_COMPACT_INLINE, {2, NOBODY}},
    {POWER_SHARED,
     KVSTORE_SYNC_ALWAYS,
     KVSTORE_COMPACT_BACKGROUND,
     {3, NOBODY}},
    {POWER_SHARED, KVSTORE_SYNC_ALWAYS, KVSTORE_COMPACT_INLINE, {4, NOBODY}},
    {POWER_SHARED, KVSTORE_SYNC_NONE, KVSTORE_COMPACT_BACKGROUND, {5, NOBODY}},
    {POWER_SHARED,
     KVSTORE_SYNC_ALWAYS,
     KVSTORE_COMPACT_BACKGROUND,
     {NOBODY, NOBODY}},
    {POWER_EXCLUSIVE, KVSTORE_SYNC_ALWAYS, KVSTORE_COMPACT_BACKGROUND, {6, 7}},
};

static const struct process unsynced_exclusive = {POWER_EXCLUSIVE,
                                                  KVSTORE_SYNC_NONE,
                                                  KVSTORE_COMPACT_INLINE,
                                                  {8, NOBODY}};

void power_crew_begin(struct power_ledger *ledger)
{
    for (unsigned i = 0; i < POWER_CLIENTS; i++) {
        struct power_client *client = &ledger->clients[i];
        client->number = i;
        client->store = roles[i].store;
        client->habit = roles[i].habit;
        client->keys = roles[i].keys;
        client->value_max = roles[i].value_max;
    }
}

static kvstore *open_store(const struct power_plan *plan,
                           const struct process *process,
                           bool is_read_only)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync =
        plan->fault == POWER_OPENS_UNSYNCED ? KVSTORE_SYNC_NONE : process->sync;
    options.compaction = process->compaction;
    options.exclusive = process->store == POWER_EXCLUSIVE && !is_read_only;
    options.read_only = is_read_only;
    options.lock_timeout_ms = 60000;
    options.compaction_threshold = 20000;
    options.compaction_percent = 30;
    if (kvstore_open(plan->paths[process->store], &options, &store) !=
            KVSTORE_OK &&
        !plan->board->is_cut &&
        !(is_read_only && kvstore_last_error()->system_errno == ENOENT)) {
        power_ledger_complain(&plan->board->ledger,
                              "cannot open store %u: %s",
                              process->store,
                              kvstore_last_error()->message);
    }
    return store;
}

/* --- Where the power is cut --- */

static const struct power_plan *the_plan;
static struct kv_io_table table;
static _Atomic int compacted_fd = -1;

void power_crew_cut(const struct power_plan *plan, enum power_moment moment)
{
    if (!atomic_exchange(&plan->board->is_cut, true)) {
        plan->board->cuts[moment]++;
        power_disk_cut(&plan->disk);
    }
}

static void come_to(enum power_moment moment)
{
    struct power_board *board = the_plan->board;
    if (board->moment == moment && !board->is_cut &&
        atomic_fetch_sub(&board->countdown, 1) == 1) {
        power_crew_cut(the_plan, moment);
    }
}

static ssize_t cutting_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    come_to(POWER_BEFORE_A_WRITE);
    ssize_t result = kv_io_system_table()->pwrite(fd, bytes, size, offset);
    int saved_errno = errno;
    come_to(POWER_AFTER_A_WRITE);
    errno = saved_errno;
    return result;
}

static int sync_unless_planted(int fd, int (*sync)(int fd))
{
    come_to(POWER_BEFORE_A_SYNC);
    bool is_left_out =
        the_plan->fault == POWER_SYNCS_NOTHING ||
        (the_plan->fault == POWER_COMPACTS_UNSYNCED && fd == compacted_fd);
    int result = is_left_out ? 0 : sync(fd);
    int saved_errno = errno;
    come_to(POWER_AFTER_A_SYNC);
    errno = saved_errno;
    return result;
}

static int cutting_fdatasync(int fd)
{
    return sync_unless_planted(fd, kv_io_system_table()->fdatasync);
}

static int cutting_fsync(int fd)
{
    return sync_unless_planted(fd, kv_io_system_table()->fsync);
}

static int noting_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd = kv_io_system_table()->openat(dir_fd, name, flags, mode);
    if (strcmp(name, "store.log.compact") == 0) {
        compacted_fd = fd;
    }
    return fd;
}

static int noting_close(int fd)
{
    int expected = fd;
    (void)atomic_compare_exchange_strong(&compacted_fd, &expected, -1);
    return kv_io_system_table()->close(fd);
}

static off_t size_by_name(int dir_fd, const char *name)
{
    struct stat stat;
    return fstatat(dir_fd, name, &stat, 0) == 0 ? stat.st_size : 0;
}

static int cutting_renameat(int dir_fd, const char *from, const char *to)
{
    off_t size_before = size_by_name(dir_fd, to);
    come_to(POWER_BEFORE_A_NAME);
    int result = kv_io_system_table()->renameat(dir_fd, from, to);
    int saved_errno = errno;
    if (result == 0 && strcmp(to, "store.log") == 0) {
        the_plan->board->compactions++;
    } else if (result == 0 && size_before > 0 &&
               size_by_name(dir_fd, to) > size_before) {
        the_plan->board->growths++;
    }
    come_to(POWER_AFTER_A_NAME);
    errno = saved_errno;
    return result;
}

static void cutting_step(const char *name)
{
    (void)name;
    come_to(POWER_AT_A_STEP);
}

static void watch_for_moments(const struct power_plan *plan)
{
    the_plan = plan;
    table = *kv_io_system_table();
    table.openat = noting_openat;
    table.close = noting_close;
    table.pwrite = cutting_pwrite;
    table.fdatasync = cutting_fdatasync;
    table.fsync = cutting_fsync;
    table.renameat = cutting_renameat;
    table.step = cutting_step;
    kv_io_swap_table(&table);
}

/* --- Processes --- */

/* Writes until a call fails, which must not be before the cut. */
static void *work(void *context)
{
    struct power_actor *actor = context;
    struct power_board *board = the_plan->board;
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK) {
        uint64_t before = actor->client->acknowledged;
        status = power_act(actor);
        if (actor->client->acknowledged != before) {
            come_to(POWER_AFTER_AN_ANSWER);
        }
    }
    if (!board->is_cut) {
        power_ledger_complain(&board->ledger,
                              "c%u fails before the cut: %d, %s",
                              actor->client->number,
                              (int)status,
                              kvstore_last_error()->message);
    }
    return NULL;
}

static void run_writers(const struct process *process)
{
    pthread_t ids[THREADS];
    struct power_actor actors[THREADS];
    kvstore *store = open_store(the_plan, process, false);
    unsigned count = 0;
    for (; count < THREADS && process->clients[count] != NOBODY; count++) {
        unsigned number = process->clients[count];
        struct power_actor *actor = &actors[count];
        power_actor_init(actor,
                         &the_plan->board->ledger.clients[number],
                         store,
                         &the_plan->board->is_cut,
                         the_plan->seed * POWER_CLIENTS + number);
        actor->writes_in_pieces = the_plan->fault == POWER_BATCHES_IN_PIECES;
        actor->forgets_sync = the_plan->fault == POWER_FORGETS_SYNC;
        if (store != NULL &&
            pthread_create(&ids[count], NULL, work, actor) != 0) {
            scratch_die("thread");
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (store != NULL) {
            (void)pthread_join(ids[i], NULL);
        }
        power_actor_release(&actors[i]);
    }
    kvstore_close(store);
}

/* What a reader sees of durable writers is on the disk. */
static void read_on(const struct process *process)
{
    struct power_board *board = the_plan->board;
    uint64_t state = the_plan->seed | 1;
    char *buffer = malloc(POWER_VALUE_MAX);
    bool is_read_only = the_plan->seed % 2 == 0;
    kvstore *store = open_store(the_plan, process, is_read_only);
    while (store != NULL && buffer != NULL) {
        struct power_client *client =
            &board->ledger.clients[register_random_below(&state, READ_CLIENTS)];
        uint32_t key = (uint32_t)register_random_below(&state, client->keys);
        char name[POWER_NAME_SIZE];
        void *value = NULL;
        size_t size = 0;
        size_t name_size = power_name(name, client, key);
        kvstore_status status =
            kvstore_get(store, name, name_size, &value, &size);
        bool is_cut = board->is_cut;
        if (status == KVSTORE_OK) {
            if (!power_ledger_see(client, key, value, size, buffer, !is_cut)) {
                power_ledger_complain(
                    &board->ledger, "%s has a foreign value", name);
            }
        } else if (status != KVSTORE_NOT_FOUND && !is_cut) {
            power_ledger_complain(&board->ledger,
                                  "a reader fails: %s",
                                  kvstore_last_error()->message);
        }
        kvstore_free(value);
    }
}

static _Noreturn void run(const struct power_plan *plan, int number)
{
    const struct process *process = &processes[number];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A mapped page cannot be had from a disk without power. */
    (void)signal(SIGBUS, SIG_DFL);
    watch_for_moments(plan);
    if (number == READER) {
        read_on(process);
    } else {
        bool is_other =
            process->store == POWER_EXCLUSIVE && plan->seed % 2 == 0;
        run_writers(is_other ? &unsynced_exclusive : process);
    }
    for (;;) {
        (void)pause();
    }
}

void power_crew_start(const struct power_plan *plan,
                      pid_t pids_out[POWER_PROCESSES])
{
    uint64_t state = plan->seed | 1;
    int last = (int)register_random_below(&state, POWER_PROCESSES);
    for (int i = 0; i < POWER_PROCESSES; i++) {
        bool is_away =
            i != last && register_random_below(&state, STAYS_AWAY_ONE_IN) == 0;
        pids_out[i] = is_away ? -1 : fork();
        if (pids_out[i] == 0) {
            run(plan, i);
        }
        if (pids_out[i] < 0 && !is_away) {
            scratch_die("fork");
        }
    }
}

void power_crew_kill(const struct power_plan *plan,
                     const pid_t pids[POWER_PROCESSES])
{
    for (int i = 0; i < POWER_PROCESSES; i++) {
        if (pids[i] > 0) {
            (void)kill(pids[i], SIGKILL);
        }
    }
    for (int i = 0; i < POWER_PROCESSES; i++) {
        int status = 0;
        if (pids[i] > 0 && waitpid(pids[i], &status, 0) != pids[i]) {
            scratch_die("waitpid");
        }
        if (pids[i] > 0 &&
            !(WIFSIGNALED(status) &&
              (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS))) {
            power_ledger_complain(
                &plan->board->ledger, "process %d ends with %d", i, status);
        }
    }
}

/* --- After a cut --- */

static void set_one(const struct power_plan *plan,
                    unsigned store_number,
                    kvstore *store,
                    uint64_t seed)
{
    struct power_actor actor;
    power_actor_init(&actor,
                     &plan->board->ledger.clients[checkers[store_number]],
                     store,
                     &plan->board->is_cut,
                     seed);
    if (power_act(&actor) != KVSTORE_OK) {
        power_ledger_complain(&plan->board->ledger,
                              "store %u cannot be written after a cut: %s",
                              store_number,
                              kvstore_last_error()->message);
    }
    power_actor_release(&actor);
}

void power_crew_check(const struct power_plan *plan, uint64_t *random_state)
{
    struct power_plan sound = *plan;
    sound.fault = POWER_NO_FAULT;
    for (unsigned i = 0; i < POWER_STORES; i++) {
        struct process process = {.store = i,
                                  .compaction = KVSTORE_COMPACT_INLINE};
        bool is_read_first = register_random_below(random_state, 4) == 0;
        bool is_written = register_random_below(random_state, 4) != 0;
        kvstore *store =
            is_read_first ? open_store(&sound, &process, true) : NULL;
        if (store != NULL) {
            power_check(&plan->board->ledger, i, store, false);
            kvstore_close(store);
        }
        store = open_store(&sound, &process, false);
        if (store == NULL) {
            continue;
        }
        power_check(&plan->board->ledger, i, store, true);
        if (is_written) {
            set_one(&sound, i, store, *random_state);
            power_check(&plan->board->ledger, i, store, true);
        }
        kvstore_close(store);
    }
}
