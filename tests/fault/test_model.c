/* SPDX-License-Identifier: MIT */

/* Many processes and threads, of all kinds that there are, work on one store
 * while they are killed and stopped, the index is deleted or replaced, and the
 * disk fills up; in between, while no process has it open, the log is
 * exchanged. Each answer is checked against all calls: a value that is older
 * than one acknowledged before the call began, another key's, lost, come back,
 * or not yet set is a violation, and is printed with the key's history.
 *
 * test_fault_model [--seed N] [--seeds N] [--operations N]. Who does what
 * follows from the seed; which of them is faster does not. Where root can mount
 * it, the store has a small file system of its own, which fills up, and one
 * reader is another user. */

#define _GNU_SOURCE /* unshare() */

#include "history.h"
#include "kvstore.h"
#include "linearizability.h"
#include "model_cast.h"
#include "scratch.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 40
#define ROUNDS 6
#define DISK "size=6m,mode=0755"
#define LOG "store.log"
#define INDEX "store.index"
#define FILLERS 2048
#define STEP_CALLS 200             /* Between two events, at most. */
#define STEP_NS UINT64_C(50000000) /* However few calls were made. */
#define STALLED_NS UINT64_C(60000000000)

static uint64_t seed = 1;
static uint64_t seed_count = 2;
static uint64_t operations = 60000; /* Per seed. */

struct world {
    struct model_plan plan;
    char root[SCRATCH_PATH_SIZE];
    char store[SCRATCH_PATH_SIZE + 16];
    bool has_disk;
    bool is_full;
    pid_t pids[MODEL_ROLES]; /* 0: not there. */
    uint64_t random_state;
    uint64_t starts;
    struct register_client client; /* This process's own. */
    unsigned kills;
    unsigned stops;
    unsigned fills;
    unsigned indexes;
    char journal[4096]; /* What was done while no process had it open. */
};

static uint64_t dice(struct world *world, uint64_t bound)
{
    return register_random_below(&world->random_state, bound);
}

/* What is decided in a part of the run does not depend on how many events came
 * before. */
static void begin_part(struct world *world, uint64_t part)
{
    uint64_t mixed =
        (seed * UINT64_C(1000003) + part) * UINT64_C(0x9e3779b97f4a7c15);
    world->random_state = (mixed ^ mixed >> 29) | 1;
    world->client.random_state = world->random_state;
    world->starts = part * 1000000;
}

static void pause_ms(long ms)
{
    struct timespec duration = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&duration, NULL);
}

/* --- The world, and its end --- */

static void make_disk(struct world *world)
{
    (void)snprintf(world->store, sizeof world->store, "%s/disk", world->root);
    assert_int_equal(chmod(world->root, 0755), 0);
    assert_int_equal(mkdir(world->store, 0755), 0);
    world->has_disk =
        getuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("kvstore-test", world->store, "tmpfs", 0, DISK) == 0;
    if (!world->has_disk) {
        (void)printf("without a disk that fills up\n");
    }
}

static struct world *make_world(uint64_t calls)
{
    struct world *world = calloc(1, sizeof *world);
    kvstore *store = NULL;
    assert_non_null(world);
    scratch_make(world->root);
    make_disk(world);
    world->plan = (struct model_plan){
        .path = world->store,
        .program = getenv("KVSTORE"),
        .history = history_create(calls + 100000),
        .board = history_shared_memory(sizeof(struct model_board)),
        .seed = seed,
        .keys = KEYS,
        .may_be_full = world->has_disk};
    world->client =
        (struct register_client){.history = world->plan.history,
                                 .failures = &world->plan.board->failures,
                                 .number = MODEL_CLIENTS,
                                 .keys = KEYS,
                                 .sets = 100,
                                 .random_state = 1};
    assert_int_equal(kvstore_open(world->store, NULL, &store), KVSTORE_OK);
    kvstore_close(store);
    return world;
}

static void free_world(struct world *world)
{
    if (world->has_disk) {
        (void)umount2(world->store, MNT_DETACH);
    }
    history_free(world->plan.history);
    (void)munmap(world->plan.board, sizeof *world->plan.board);
    scratch_remove(world->root);
    free(world);
}

/* --- Events --- */

static void start(struct world *world, enum model_role role)
{
    bool is_missing = role == MODEL_COMMANDS && world->plan.program == NULL;
    world->starts++;
    world->pids[role] =
        is_missing ? 0
                   : model_cast_start(
                         &world->plan, role, seed * 1000003 + world->starts);
}

static void await(struct world *world, enum model_role role)
{
    if (world->pids[role] > 0 &&
        !model_cast_await(&world->plan, role, world->pids[role])) {
        (void)fprintf(stderr, "role %d has ended badly\n", (int)role);
        world->plan.board->failures++;
    }
    world->pids[role] = 0;
}

static enum model_role choose(struct world *world)
{
    enum model_role role = (enum model_role)dice(world, MODEL_ROLES - 1);
    role += role >= MODEL_WITNESS ? 1 : 0;
    return role;
}

static void kill_some(struct world *world, unsigned count)
{
    enum model_role roles[MODEL_ROLES];
    for (unsigned i = 0; i < count; i++) {
        roles[i] = choose(world);
        if (world->pids[roles[i]] > 0) {
            (void)kill(-world->pids[roles[i]], SIGKILL);
            world->kills++;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (world->pids[roles[i]] > 0) {
            await(world, roles[i]);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (world->pids[roles[i]] == 0) {
            start(world, roles[i]);
        }
    }
}

static void wait_for_calls(const struct world *world, uint64_t calls)
{
    uint64_t begun = world->plan.history->begun;
    uint64_t begun_ns = history_now_ns();
    while (world->plan.history->begun < begun + calls &&
           history_now_ns() - begun_ns < STEP_NS) {
        pause_ms(1);
    }
}

/* The holder of the lock may be among the stopped. */
static void stop_one(struct world *world)
{
    enum model_role role = choose(world);
    if (world->pids[role] > 0) {
        (void)kill(-world->pids[role], SIGSTOP);
        wait_for_calls(world, dice(world, STEP_CALLS) + 1);
        (void)kill(-world->pids[role], SIGCONT);
        world->stops++;
    }
}

static void name_file(const struct world *world,
                      const char *name,
                      char path_out[SCRATCH_PATH_SIZE + 64])
{
    (void)snprintf(
        path_out, SCRATCH_PATH_SIZE + 64, "%s/%s", world->store, name);
}

static void delete_file(const struct world *world, const char *name)
{
    char path[SCRATCH_PATH_SIZE + 64];
    name_file(world, name, path);
    (void)unlink(path);
}

static void rename_file(const struct world *world,
                        const char *from,
                        const char *to)
{
    char paths[2][SCRATCH_PATH_SIZE + 64];
    name_file(world, from, paths[0]);
    name_file(world, to, paths[1]);
    (void)rename(paths[0], paths[1]);
}

/* Gives another file, with any bytes, the index's name. */
static void replace_index(struct world *world)
{
    static char bytes[16384];
    size_t size = (size_t)dice(world, sizeof bytes + 1);
    if (world->is_full) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)dice(world, 256);
    }
    char path[SCRATCH_PATH_SIZE + 64];
    name_file(world, "garbage", path);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return;
    }
    (void)fwrite(bytes, 1, size, file);
    (void)fclose(file);
    rename_file(world, "garbage", INDEX);
}

/* Takes the rest of the disk, but for a few blocks; or frees all of it
 * again. */
static void fill_disk(struct world *world)
{
    static const char block[4096] = {1};
    char path[SCRATCH_PATH_SIZE + 64];
    name_file(world, "ballast", path);
    if (world->is_full || !world->has_disk) {
        (void)unlink(path);
        world->is_full = false;
        return;
    }
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return;
    }
    (void)setvbuf(file, NULL, _IONBF, 0);
    while (fwrite(block, sizeof block, 1, file) == 1) {
    }
    (void)fflush(file);
    (void)!ftruncate(
        fileno(file),
        ftell(file) > 16384 ? ftell(file) - 4096 * (off_t)dice(world, 4) : 0);
    (void)fclose(file);
    world->is_full = true;
    world->fills++;
}

static void make_event(struct world *world)
{
    uint64_t number = dice(world, 40);
    if (number < 24) {
        kill_some(world, number < 22 ? 1 : 3);
    } else if (number < 32) {
        stop_one(world);
    } else if (number < 34) {
        /* Rarely, since a process that builds one makes the others wait. */
        if (number == 32) {
            delete_file(world, INDEX);
        } else {
            replace_index(world);
        }
        world->indexes++;
    } else if (number < 36 || world->is_full) {
        fill_disk(world);
    }
}

/* --- While no process has it open --- */

static bool tell_damage(void *context, const kvstore_damage *damage)
{
    (void)context;
    (void)fprintf(stderr,
                  "verify: kind %d at %llu\n",
                  damage->kind,
                  (unsigned long long)damage->offset);
    return true;
}

static void note(struct world *world, const char *what)
{
    size_t size = strlen(world->journal);
    (void)snprintf(
        world->journal + size, sizeof world->journal - size, " %s", what);
}

static void read_all(struct world *world, bool is_read_only)
{
    kvstore *store = NULL;
    kvstore_stats stats;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = is_read_only;
    note(world, is_read_only ? "read(ro)" : "read");
    assert_int_equal(kvstore_open(world->store, &options, &store), KVSTORE_OK);
    for (uint32_t key = 0; key < KEYS; key++) {
        assert_true(register_client_get(&world->client, store, key));
    }
    assert_int_equal(kvstore_verify(store, tell_damage, NULL), KVSTORE_OK);
    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);
    assert_int_equal(stats.damaged_records, 0);
    assert_int_equal(stats.live_bytes + stats.stale_bytes + stats.blank_bytes,
                     stats.log_bytes);
    kvstore_close(store);
}

/* This also mends what the killed processes have left. */
static void set_one(struct world *world)
{
    kvstore *store = NULL;
    assert_int_equal(kvstore_open(world->store, NULL, &store), KVSTORE_OK);
    assert_true(register_client_call(&world->client, store));
    kvstore_close(store);
}

/* Returns the place of a line's key among all keys; -1: none of ours. */
static int place_of(const char *line)
{
    const char *key = strstr(line, "\"key\":\"");
    if (key != NULL && strncmp(key + 7, "register-", 9) == 0) {
        return (int)strtol(key + 16, NULL, 10) + FILLERS;
    }
    return key != NULL && strncmp(key + 7, "filler-", 7) == 0
               ? (int)strtol(key + 14, NULL, 10)
               : -1;
}

/* Puts a line before what is at an offset: without its number in a batch, of
 * which it may be all that is left, and then without its sum. Returns where it
 * begins. */
static size_t put_before(char *copy,
                         size_t offset,
                         const char *line,
                         size_t size)
{
    static const char end[] = "}}\n";
    const char *batch = strstr(line, ",\"batch\":");
    if (batch == NULL || batch >= line + size) {
        memcpy(copy + offset - size, line, size);
        return offset - size;
    }
    size_t kept = (size_t)(batch - line);
    offset -= sizeof end - 1;
    memcpy(copy + offset, end, sizeof end - 1);
    memcpy(copy + offset - kept, line, kept);
    return offset - kept;
}

/* Leaves only the newest Set of each key, as a person may do with a script.
 * Returns the new size. */
static size_t thin_out(char *bytes, size_t size)
{
    static bool is_seen[FILLERS + KEYS];
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    size_t room = size;
    memset(is_seen, 0, sizeof is_seen);
    for (size_t end = size; end > 0;) {
        size_t begin = end - 1;
        while (begin > 0 && bytes[begin - 1] != '\n') {
            begin--;
        }
        int place = place_of(bytes + begin);
        bool is_set = strncmp(bytes + begin, "{\"Set\"", 6) == 0;
        if (place >= 0 && !is_seen[place] && is_set) {
            room = put_before(copy, room, bytes + begin, end - begin);
        }
        if (place >= 0) {
            is_seen[place] = true;
        }
        end = begin;
    }
    memcpy(bytes, copy + room, size - room);
    free(copy);
    return size - room;
}

/* Puts the same data in another file. */
static void exchange_log(struct world *world)
{
    size_t size = 0;
    char *bytes = scratch_read(world->store, LOG, &size);
    uint64_t manner = dice(world, 4);
    if (manner >= 2) {
        size = thin_out(bytes, size);
    }
    if (manner % 2 == 0) {
        scratch_write(world->store, "other", bytes, size);
        rename_file(world, "other", LOG);
    } else {
        delete_file(world, LOG);
        scratch_write(world->store, LOG, bytes, size);
    }
    char path[SCRATCH_PATH_SIZE + 64];
    name_file(world, LOG, path);
    assert_int_equal(chmod(path, 0644), 0);
    free(bytes);
}

static void append_by_hand(struct world *world)
{
    char path[SCRATCH_PATH_SIZE + 64];
    name_file(world, LOG, path);
    for (uint64_t i = dice(world, 3) + 1; i > 0; i--) {
        assert_true(register_client_append(
            &world->client, path, (uint32_t)dice(world, KEYS)));
    }
}

static void spoil_index(struct world *world)
{
    size_t size = 0;
    char *bytes = scratch_read(world->store, INDEX, &size);
    size_t count = dice(world, 2) == 0 && size > 4096 ? 4096 : size;
    /* A state of its own: how large the index is depends on who was faster. */
    uint64_t state = dice(world, UINT32_MAX) | 1;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (char)register_random_below(&state, 256);
    }
    if (bytes != NULL) {
        scratch_write(world->store, INDEX, bytes, size);
    }
    free(bytes);
}

/* Brings an earlier index back, as from a backup. */
static void bring_back_index(struct world *world)
{
    size_t size = 0;
    char *bytes = scratch_read(world->root, "index.kept", &size);
    if (bytes != NULL) {
        delete_file(world, INDEX);
        scratch_write(world->store, INDEX, bytes, size);
    }
    free(bytes);
}

static void keep_index(struct world *world)
{
    size_t size = 0;
    char *bytes = scratch_read(world->store, INDEX, &size);
    if (bytes != NULL) {
        scratch_write(world->root, "index.kept", bytes, size);
    }
    free(bytes);
}

/* A reader sees what is past the end of a trusted index once a handle that may
 * write has opened the store. */
static void read_changed(struct world *world, bool is_behind)
{
    bool is_read_only = dice(world, 2) == 0;
    read_all(world, is_read_only && !is_behind);
}

static void change_files(struct world *world)
{
    bool is_behind = false;
    note(world, "\n  round:");
    set_one(world);
    for (uint64_t i = dice(world, 3) + 1; i > 0; i--) {
        switch (dice(world, 7)) {
        case 0:
        case 1:
            note(world, "exchange");
            exchange_log(world);
            break;
        case 2:
            note(world, "append");
            append_by_hand(world);
            is_behind = true;
            break;
        case 3:
            note(world, "delete-index");
            delete_file(world, INDEX);
            break;
        case 4:
            note(world, "spoil-index");
            spoil_index(world);
            break;
        case 5:
            note(world, "bring-back-index");
            bring_back_index(world);
            is_behind = true;
            break;
        default:
            note(world, "keep-index");
            keep_index(world);
            break;
        }
        if (dice(world, 2) == 0) {
            read_changed(world, is_behind);
        }
    }
    read_changed(world, is_behind);
}

/* --- All of it --- */

static bool stalls(struct world *world, uint64_t *begun, uint64_t *since_ns)
{
    uint64_t now_ns = history_now_ns();
    if (world->plan.history->begun != *begun) {
        *begun = world->plan.history->begun;
        *since_ns = now_ns;
    }
    return now_ns - *since_ns > STALLED_NS;
}

static void run_round(struct world *world, uint64_t until)
{
    uint64_t begun = 0;
    uint64_t since_ns = history_now_ns();
    world->plan.board->until = until;
    for (unsigned i = 0; i < MODEL_ROLES; i++) {
        start(world, (enum model_role)i);
    }
    bool has_stalled = false;
    while (world->plan.history->begun < until &&
           world->plan.board->failures == 0 && !has_stalled) {
        wait_for_calls(world, dice(world, STEP_CALLS) + 1);
        make_event(world);
        has_stalled = stalls(world, &begun, &since_ns);
    }
    if (world->is_full) {
        fill_disk(world);
    }
    for (unsigned i = 0; i < MODEL_ROLES; i++) {
        if (has_stalled && world->pids[i] > 0) {
            (void)kill(-world->pids[i], SIGKILL);
        }
        await(world, (enum model_role)i);
    }
    assert_false(has_stalled);
}

static enum linearizability_answer judge(const struct world *world,
                                         FILE *stream)
{
    size_t count = 0;
    struct linearizability_verdict verdict;
    struct linearizability_call *calls =
        history_calls(world->plan.history, &count);
    linearizability_check(calls, count, &verdict);
    if (verdict.answer != LINEARIZABILITY_YES) {
        (void)fprintf(
            stream,
            "--seed %llu --seeds 1 --operations %llu; in between:%s\n",
            (unsigned long long)seed,
            (unsigned long long)operations,
            world->journal);
        linearizability_explain(stream, calls, count, &verdict);
    }
    free(calls);
    return verdict.answer;
}

static void run_world(struct world *world, uint64_t calls)
{
    uint64_t begun_ns = history_now_ns();
    struct model_board *board = world->plan.board;
    for (unsigned i = 0; i < ROUNDS && board->failures == 0; i++) {
        begin_part(world, 2 * (uint64_t)i);
        run_round(world, world->plan.history->begun + calls / ROUNDS);
        if (board->failures == 0) {
            begin_part(world, 2 * (uint64_t)i + 1);
            read_all(world, false);
            change_files(world);
        }
    }
    (void)printf(
        "--seed %llu: %llu calls in %.1f s, %u kills, %u stops, %u indexes "
        "taken away, full %u times (%llu), busy %llu, %llu compactions, "
        "%llu fillers\n",
        (unsigned long long)seed,
        (unsigned long long)world->plan.history->begun,
        (double)(history_now_ns() - begun_ns) / 1e9,
        world->kills,
        world->stops,
        world->indexes,
        world->fills,
        (unsigned long long)board->full,
        (unsigned long long)board->busy,
        (unsigned long long)board->compactions,
        (unsigned long long)board->fillers);
}

static void every_answer_is_right(void **state)
{
    uint64_t end = seed + seed_count;
    (void)state;
    for (; seed < end; seed++) {
        struct world *world = make_world(operations);

        run_world(world, operations);

        enum linearizability_answer answer = judge(world, stderr);
        uint64_t failures = world->plan.board->failures;
        unsigned kills = world->kills;
        free_world(world);
        assert_int_equal(answer, LINEARIZABILITY_YES);
        assert_int_equal(failures, 0);
        assert_true(kills > 0);
    }
}

/* The check must be able to fail. */
static void dropped_write_is_found_out(void **state)
{
    (void)state;
    struct world *world = make_world(3000);
    FILE *stream = fopen("/dev/null", "w");
    assert_non_null(stream);
    world->plan.twin = REGISTER_DROPPED_WRITE;

    run_world(world, 3000);

    assert_int_equal(judge(world, stream), LINEARIZABILITY_NO);
    assert_int_equal(world->plan.board->failures, 0);
    (void)fclose(stream);
    free_world(world);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_right),
        cmocka_unit_test(dropped_write_is_found_out),
    };
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 1; i + 1 < count; i += 2) {
        uint64_t number = strtoull(words[i + 1], NULL, 10);
        if (strcmp(words[i], "--seed") == 0) {
            seed = number;
        } else if (strcmp(words[i], "--seeds") == 0) {
            seed_count = number;
        } else if (strcmp(words[i], "--operations") == 0) {
            operations = number;
        }
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
