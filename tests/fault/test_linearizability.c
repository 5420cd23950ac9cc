/* SPDX-License-Identifier: MIT */

/* Threads and processes set, get and remove a few keys of one store, while
 * processes are killed, the index is deleted and grows, and the log is
 * compacted. Each call must have happened at one instant between its beginning
 * and its end: all of them together, including what was recorded of processes
 * that died, must be linearizable.
 *
 * KVSTORE_TEST_OPERATIONS says how many calls are made, 200000 by default. */

#include "history.h"
#include "kvstore.h"
#include "linearizability.h"
#include "os/file.h"
#include "register_client.h"
#include "register_crew.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 16
#define STALLED_NS UINT64_C(60000000000)

static uint64_t random_state = 2463534242u;

static void pause_us(uint64_t us)
{
    struct timespec duration = {.tv_nsec = (long)us * 1000};
    (void)nanosleep(&duration, NULL);
}

/* --- The plan, and what came of it --- */

static struct register_plan make_plan(const char *path, uint64_t calls)
{
    random_state = history_now_ns() | 1;
    return (struct register_plan){
        .path = path,
        .history = history_create(calls + KEYS + REGISTER_CLIENTS),
        .board = history_shared_memory(sizeof(struct register_board)),
        .keys = KEYS,
        .calls = calls};
}

static void release_plan(struct register_plan *plan)
{
    history_free(plan->history);
    (void)munmap(plan->board, sizeof *plan->board);
}

/* The store must exist before a process that only reads can open it. */
static void make_store(const char *path)
{
    kvstore *store = NULL;
    assert_int_equal(kvstore_open(path, NULL, &store), KVSTORE_OK);
    kvstore_close(store);
}

/* Opens the store when all is over, and reads every key. */
static void read_at_the_end(const struct register_plan *plan)
{
    kvstore *store = NULL;
    kvstore_stats stats;
    struct register_client client = {.history = plan->history,
                                     .failures = &plan->board->failures,
                                     .number = REGISTER_CLIENTS};
    assert_int_equal(kvstore_open(plan->path, NULL, &store), KVSTORE_OK);
    for (uint32_t key = 0; key < KEYS; key++) {
        assert_true(register_client_get(&client, store, key));
    }
    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);
    assert_int_equal(stats.damaged_records, 0);
    assert_int_equal(stats.live_bytes + stats.stale_bytes + stats.blank_bytes,
                     stats.log_bytes);
    kvstore_close(store);
}

/* Says what the checker found, and prints it. */
static enum linearizability_answer judge(const struct register_plan *plan,
                                         FILE *stream)
{
    size_t count = 0;
    struct linearizability_verdict verdict;
    struct linearizability_call *calls = history_calls(plan->history, &count);
    uint64_t begun_ns = history_now_ns();
    linearizability_check(calls, count, &verdict);
    (void)printf("%zu calls checked in %.2f s: at most %zu open on a key, "
                 "%zu configurations\n",
                 count,
                 (double)(history_now_ns() - begun_ns) / 1e9,
                 verdict.open_most,
                 verdict.configurations_most);
    if (verdict.answer != LINEARIZABILITY_YES) {
        linearizability_explain(stream, calls, count, &verdict);
    }
    free(calls);
    return verdict.answer;
}

static void print_events(const struct register_board *board, uint64_t begun_ns)
{
    (void)printf("%.1f s: %llu compactions, %llu growths, %llu rebuilds, "
                 "%llu writes of keys that come and go\n",
                 (double)(history_now_ns() - begun_ns) / 1e9,
                 (unsigned long long)board->compactions,
                 (unsigned long long)board->growths,
                 (unsigned long long)board->rebuilds,
                 (unsigned long long)board->fillers);
}

static void delete_index(const char *path)
{
    char name[SCRATCH_PATH_SIZE + 16];
    (void)snprintf(name, sizeof name, "%s/store.index", path);
    (void)unlink(name);
}

/* --- Threads of one process --- */

static void run_threads(const struct register_plan *plan)
{
    struct register_crew crews[REGISTER_CREWS];
    uint64_t begun_ns = history_now_ns();
    make_store(plan->path);
    register_watch_steps(plan);
    for (unsigned i = 0; i < REGISTER_CREWS; i++) {
        register_crew_start(&crews[i], plan, i);
    }
    while (plan->history->begun < plan->calls && plan->board->failures == 0) {
        pause_us(200000);
        delete_index(plan->path);
    }
    for (unsigned i = 0; i < REGISTER_CREWS; i++) {
        register_crew_join(&crews[i]);
    }
    kv_io_swap_table(kv_io_system_table());
    read_at_the_end(plan);
    print_events(plan->board, begun_ns);
}

static void threads_are_linearizable(void **state)
{
    unsigned long calls = scratch_number("KVSTORE_TEST_OPERATIONS", 200000);
    struct register_plan plan = make_plan(*state, calls / 3);

    run_threads(&plan);

    assert_int_equal(judge(&plan, stderr), LINEARIZABILITY_YES);
    assert_int_equal(plan.board->failures, 0);
    assert_true(plan.board->compactions > 0);
    release_plan(&plan);
}

/* --- Processes that are killed --- */

static pid_t start(const struct register_plan *plan, unsigned number)
{
    pid_t pid = fork();
    if (pid < 0) {
        scratch_die("fork");
    }
    if (pid == 0) {
        struct register_crew crew;
        register_watch_steps(plan);
        register_crew_start(&crew, plan, number);
        register_crew_join(&crew);
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

static void bury(const struct register_plan *plan, unsigned number)
{
    for (unsigned i = 0; i < REGISTER_CREW_THREADS; i++) {
        history_bury(plan->history, number * REGISTER_CREW_THREADS + i);
    }
}

/* Replaces the processes that have died meanwhile. */
static void replace_dead(const struct register_plan *plan, pid_t *pids)
{
    for (unsigned i = 0; i < REGISTER_CREWS; i++) {
        int status = 0;
        if (waitpid(pids[i], &status, WNOHANG) != pids[i]) {
            continue;
        }
        bury(plan, i);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
            plan->board->failures +=
                WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
        }
        pids[i] = start(plan, i);
    }
}

/* Kills any process but the witness. */
static void kill_one(const struct register_plan *plan, pid_t *pids)
{
    unsigned victim =
        (unsigned)register_random_below(&random_state, REGISTER_CREWS - 1);
    victim += victim >= REGISTER_CREW_WITNESS ? 1 : 0;
    (void)kill(pids[victim], SIGKILL);
    (void)waitpid(pids[victim], NULL, 0);
    bury(plan, victim);
    pids[victim] = start(plan, victim);
}

static bool stalls(const struct register_plan *plan)
{
    static uint64_t begun;
    static uint64_t since_ns;
    uint64_t now_ns = history_now_ns();
    if (plan->history->begun != begun) {
        begun = plan->history->begun;
        since_ns = now_ns;
    }
    return now_ns - since_ns > STALLED_NS;
}

static void end_all(const struct register_plan *plan,
                    pid_t *pids,
                    bool must_die)
{
    for (unsigned i = 0; i < REGISTER_CREWS; i++) {
        int status = 0;
        if (must_die) {
            (void)kill(pids[i], SIGKILL);
        }
        (void)waitpid(pids[i], &status, 0);
        bury(plan, i);
        bool is_well = (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                       (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        plan->board->failures += is_well ? 0 : 1;
    }
}

/* Returns how many were killed. */
static unsigned run_processes(const struct register_plan *plan)
{
    pid_t pids[REGISTER_CREWS];
    unsigned kills = 0;
    bool has_stalled = false;
    uint64_t begun_ns = history_now_ns();
    make_store(plan->path);
    for (unsigned i = 0; i < REGISTER_CREWS; i++) {
        pids[i] = start(plan, i);
    }
    while (plan->history->begun < plan->calls && plan->board->failures == 0 &&
           !has_stalled) {
        pause_us(5000 + register_random_below(&random_state, 30000));
        replace_dead(plan, pids);
        kill_one(plan, pids);
        kills++;
        if (register_random_below(&random_state, 10) == 0) {
            delete_index(plan->path);
        }
        has_stalled = stalls(plan);
    }
    end_all(plan, pids, has_stalled);
    assert_false(has_stalled);
    read_at_the_end(plan);
    (void)printf("%u kills, %llu deaths between two steps; ",
                 kills,
                 (unsigned long long)plan->board->suicides);
    print_events(plan->board, begun_ns);
    return kills;
}

static void killed_processes_are_linearizable(void **state)
{
    struct register_plan plan =
        make_plan(*state, scratch_number("KVSTORE_TEST_OPERATIONS", 200000));
    plan.are_suicidal = true;

    unsigned kills = run_processes(&plan);

    assert_int_equal(judge(&plan, stderr), LINEARIZABILITY_YES);
    assert_int_equal(plan.board->failures, 0);
    assert_true(kills > 0);
    assert_true(plan.board->compactions > 0);
    assert_true(plan.board->growths > 0);
    release_plan(&plan);
}

/* --- The check must be able to fail --- */

static void check_twin(const char *path, enum register_twin twin)
{
    struct register_plan plan = make_plan(path, 20000);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    plan.twin = twin;

    run_processes(&plan);

    assert_int_equal(judge(&plan, stream), LINEARIZABILITY_NO);
    (void)fclose(stream);
    (void)printf("%s", text);
    assert_non_null(strstr(text, "<-- cannot be"));
    free(text);
    release_plan(&plan);
}

static void stale_cache_is_found_out(void **state)
{
    check_twin(*state, REGISTER_STALE_CACHE);
}

static void dropped_write_is_found_out(void **state)
{
    check_twin(*state, REGISTER_DROPPED_WRITE);
}

static void forgotten_remove_is_found_out(void **state)
{
    check_twin(*state, REGISTER_FORGOTTEN_REMOVE);
}

static int set_up(void **state)
{
    char *path = malloc(SCRATCH_PATH_SIZE);
    if (path == NULL) {
        return -1;
    }
    scratch_make(path);
    *state = path;
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

#define TORMENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TORMENT(threads_are_linearizable),
        TORMENT(killed_processes_are_linearizable),
        TORMENT(stale_cache_is_found_out),
        TORMENT(dropped_write_is_found_out),
        TORMENT(forgotten_remove_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
