/* SPDX-License-Identifier: MIT */

/* Checks that a power cut at any moment of a compaction alongside which others
 * write loses nothing that was acknowledged, and brings nothing back. Other
 * handles act before the calls that the compaction makes without the writers'
 * lock; all of it is recorded, and every state that the disk may be in is laid
 * out. Windows, buffers and rounds are small here, so that a short log is
 * copied in many steps. KVSTORE_REWRITE_CUTS=N does all at once only at every
 * N-th such call, and lets the process die only at every N-th change (1). */

#include "crash_states.h"
#include "crash_trace.h"
#include "kvstore.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BASE_SIZE 16384
#define VALUES 64
#define FILLERS 110u
#define RECOVERIES 61u /* Of one in so many states, it is cut, too. */
#define LONG_SIZE 700  /* More than a last round has. */

/* The same address for the same step of any workload: crash_states.h. */
static char values[VALUES][16];
static char long_values[VALUES][LONG_SIZE];
static char base[BASE_SIZE];

/* --- The store --- */

static void add_line(const char *key, const char *value)
{
    size_t used = strlen(base);
    (void)snprintf(base + used,
                   sizeof base - used,
                   "{\"Set\":{\"key\":\"%s\",\"val\":\"%s\"}}\n",
                   key,
                   value);
}

/* Makes keys that are copied first and last; between them live and stale lines,
 * more than wait for their turn in the copy. */
static void make_base(void)
{
    char key[16];
    base[0] = '\0';
    add_line("a", "0");
    add_line("b", "0");
    for (int i = 0; i < 150; i++) {
        (void)snprintf(key, sizeof key, "f%d", i % (int)FILLERS);
        add_line(key, "filler");
    }
    add_line("c", "0");
    add_line("d", "0");
}

static void expect_base(struct crash_trace *trace)
{
    static const struct crash_group fillers = {"f", "f0", FILLERS};
    crash_trace_expect(trace, fillers.first, "filler");
    crash_trace_count(trace, &fillers);
    crash_trace_expect(trace, "a", "0");
    crash_trace_expect(trace, "b", "0");
    crash_trace_expect(trace, "c", "0");
    crash_trace_expect(trace, "d", "0");
}

/* --- Others --- */

/* What happens during a compaction. */
struct beside {
    const char *script;
    uint64_t call; /* The call before which all of it is done; 0: the next
                      letter before each. */
    struct crash_trace *trace;
    kvstore *compactor;
    kvstore *durable;
    kvstore *unsynced;
    uint64_t calls; /* So far. */
    size_t serial;
    bool is_gone[CRASH_KEYS_MAX]; /* The key was removed. */
};

static void put(struct beside *beside, const char *key, const char *value)
{
    (void)crash_trace_set(beside->trace, beside->durable, key, value, true);
}

static void put_unsynced(struct beside *beside, const char *value)
{
    (void)crash_trace_set(beside->trace, beside->unsynced, "u", value, false);
}

/* Removes a key, or sets it if it was removed. */
static void toggle(struct beside *beside, const char *key)
{
    bool *is_gone = &beside->is_gone[key[0] - 'a'];
    put(beside, key, *is_gone ? values[beside->serial % VALUES] : NULL);
    *is_gone = !*is_gone;
}

/* Does what a letter means:
 *
 *     n  a new key is set               B  the second key is removed, or set
 *     a  the first key is overwritten   D  the last one is
 *     c  the last but one is            R  the first is removed, and set
 *     l  the same, with a long line     t  a new one is set, and removed
 *     u  a new one is set, unsynced     U  that is removed, unsynced
 */
static void act(struct beside *beside, char letter)
{
    size_t place = beside->serial++ % VALUES;
    switch (letter) {
    case 'n':
        put(beside, "n", values[place]);
        break;
    case 'a':
        put(beside, "a", values[place]);
        break;
    case 'c':
    case 'l':
        put(beside, "c", letter == 'c' ? values[place] : long_values[place]);
        break;
    case 'B':
        toggle(beside, "b");
        break;
    case 'D':
        toggle(beside, "d");
        break;
    case 'R':
    case 't':
        if (letter == 'R') {
            put(beside, "a", NULL);
            put(beside, "a", values[place]);
        } else {
            put(beside, "t", values[place]);
            put(beside, "t", NULL);
        }
        break;
    case 'u':
        put_unsynced(beside, values[place]);
        break;
    case 'U':
        put_unsynced(beside, NULL);
        break;
    default:
        scratch_die("no such letter");
    }
}

/* If something were done at each call, the rounds would make more calls than
 * they catch up with: from then on it is done at one in RARE. */
#define FREQUENT_CALLS 16
#define RARE 9

static void act_beside(void *context)
{
    struct beside *beside = context;
    const char *script = beside->script;
    beside->calls++;
    bool is_frequent =
        beside->calls < FREQUENT_CALLS || beside->calls % RARE == 0;
    if (beside->call == 0 && is_frequent) {
        act(beside, script[beside->serial % strlen(script)]);
    }
    for (; beside->call == beside->calls && *script != '\0'; script++) {
        act(beside, *script);
    }
}

/* --- Recording --- */

static kvstore *open_store(const struct crash_trace *trace, int sync)
{
    kvstore *store = NULL;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = sync;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    if (kvstore_open(trace->path, &options, &store) != KVSTORE_OK) {
        scratch_die(kvstore_last_error()->message);
    }
    return store;
}

/* Returns the number of the event at which it begins. */
static size_t begin(struct beside *beside)
{
    struct crash_trace *trace = crash_trace_begin(base);
    beside->trace = trace;
    beside->calls = 0;
    beside->serial = 0;
    memset(beside->is_gone, 0, sizeof beside->is_gone);
    expect_base(trace);
    beside->compactor = open_store(trace, KVSTORE_SYNC_ALWAYS);
    beside->durable = open_store(trace, KVSTORE_SYNC_ALWAYS);
    beside->unsynced = open_store(trace, KVSTORE_SYNC_NONE);
    return trace->event_count;
}

/* Compacts, and writes once after it: that is in the new log. */
static kvstore_status compact(struct beside *beside)
{
    beside->trace->beside_context = beside;
    beside->trace->beside = act_beside;
    kvstore_status status = kvstore_compact(beside->compactor);
    beside->trace->beside = NULL;
    if (status == KVSTORE_OK) {
        put(beside, "n", "behind");
        toggle(beside, "d");
    }
    return status;
}

static void close_all(struct beside *beside)
{
    kvstore_close(beside->compactor);
    kvstore_close(beside->durable);
    kvstore_close(beside->unsynced);
}

static void report(const struct beside *beside,
                   uint64_t dies_at,
                   const struct crash_result *result)
{
    (void)fprintf(
        stderr,
        "'%s' at call %llu, death at %llu: %llu violations, the first "
        "%s\n",
        beside->script,
        (unsigned long long)beside->call,
        (unsigned long long)dies_at,
        (unsigned long long)result->violations,
        result->first);
}

static void explore(struct beside *beside,
                    size_t first,
                    uint64_t dies_at,
                    struct crash_result *result)
{
    uint64_t before = result->violations;
    crash_trace_end(beside->trace);
    crash_states_explore(beside->trace, first, false, result);
    if (result->violations != before) {
        report(beside, dies_at, result);
    }
    crash_trace_release(beside->trace);
}

/* Returns how often what became the log was synced before it did. */
static unsigned syncs_of_new_log(const struct crash_trace *trace)
{
    unsigned syncs = 0;
    int inode = -1;
    for (size_t i = trace->event_count; i > 0; i--) {
        const struct crash_event *event = &trace->events[i - 1];
        if (event->type == CRASH_RENAME) {
            inode = event->inode;
        }
        syncs += event->type == CRASH_SYNC && event->inode == inode ? 1 : 0;
    }
    return syncs;
}

/* --- Power cuts --- */

static void explore_script(const char *script,
                           uint64_t call,
                           struct crash_result *result,
                           uint64_t *calls_out)
{
    struct beside beside = {.script = script, .call = call};
    size_t first = begin(&beside);
    assert_int_equal(compact(&beside), KVSTORE_OK);
    assert_true(syncs_of_new_log(beside.trace) >= (call == 0 ? 3 : 1));
    close_all(&beside);
    explore(&beside, first, 0, result);
    *calls_out = beside.calls;
}

static void tell(const char *what, const struct crash_result *result)
{
    (void)printf("%s: %llu states, %llu with damage, %llu lost; %llu of them "
                 "after a cut in %llu recoveries\n",
                 what,
                 (unsigned long long)result->states,
                 (unsigned long long)result->damaged,
                 (unsigned long long)result->violations,
                 (unsigned long long)result->recovery_states,
                 (unsigned long long)result->recoveries);
}

static void assert_sound(const struct crash_result *result)
{
    assert_true(result->states > 100);
    assert_int_equal(result->violations, 0);
    assert_int_equal(result->damaged, 0);
}

/* Does all of a script before every so many-th call. */
static void explore_all_calls(const char *script, struct crash_result *result)
{
    uint64_t step = scratch_number("KVSTORE_REWRITE_CUTS", 1);
    uint64_t calls = 0;
    uint64_t call = 1;
    do {
        explore_script(script, call, result, &calls);
        call += step;
    } while (call <= calls);
    assert_true(calls > 20);
}

static void writes_at_any_step_survive_power_cuts(void **state)
{
    static const char *const scripts[] = {"naBDt", "lRc", "Ral"};
    struct crash_result result = {.cuts_recovery_at = RECOVERIES};
    (void)state;

    for (size_t i = 0; i < COUNT(scripts); i++) {
        explore_all_calls(scripts[i], &result);
    }

    tell("at once", &result);
    assert_sound(&result);
}

static void writes_at_all_steps_survive_power_cuts(void **state)
{
    static const char *const scripts[] = {
        "nBDaRct", "DBn", "lDaBR", "tRc", "Bl"};
    struct crash_result result = {.cuts_recovery_at = RECOVERIES};
    uint64_t calls = 0;
    (void)state;

    for (size_t i = 0; i < COUNT(scripts); i++) {
        explore_script(scripts[i], 0, &result, &calls);
    }

    tell("all along", &result);
    assert_sound(&result);
}

/* Unsynced lines may be lost in any combination, so there may be damage. */
static void unsynced_writes_at_any_step_lose_nothing_else(void **state)
{
    struct crash_result result = {.cuts_recovery_at = RECOVERIES};
    (void)state;

    explore_all_calls("uaUu", &result);
    explore_all_calls("Buu", &result);

    tell("unsynced", &result);
    assert_true(result.states > 100);
    assert_int_equal(result.violations, 0);
}

/* The compactor and the writers die; then another process goes on. False: they
 * did not die. */
static bool explore_death(const char *script,
                          uint64_t dies_at,
                          struct crash_result *result)
{
    struct beside beside = {.script = script, .call = 0};
    size_t first = begin(&beside);
    crash_trace_die_in(beside.trace, dies_at);
    (void)compact(&beside);
    bool has_died = beside.trace->is_dead;
    close_all(&beside);
    crash_trace_revive(beside.trace);
    beside.durable = open_store(beside.trace, KVSTORE_SYNC_ALWAYS);
    act(&beside, 'a');
    act(&beside, 'R');
    act(&beside, 'l');
    kvstore_close(beside.durable);
    explore(&beside, first, dies_at, result);
    return has_died;
}

static void death_beside_writers_and_power_cut_lose_nothing(void **state)
{
    uint64_t step = scratch_number("KVSTORE_REWRITE_CUTS", 1);
    struct crash_result result = {.may_be_damaged = true};
    uint64_t dies_at = 1;
    (void)state;

    while (explore_death("nBDaRcl", dies_at, &result)) {
        dies_at += step;
    }

    tell("deaths", &result);
    assert_true(dies_at > 60);
    assert_int_equal(result.violations, 0);
}

/* --- The harness must be able to fail --- */

/* True if a compaction that lies at its n-th chance is found out. */
static bool is_found_out(unsigned lies, uint64_t lies_at)
{
    struct crash_result result = {0};
    struct beside beside = {.script = "lDaBR", .call = 0};
    size_t first = begin(&beside);
    beside.trace->lies = lies;
    beside.trace->lies_at = lies_at;
    (void)compact(&beside);
    close_all(&beside);
    crash_trace_end(beside.trace);
    crash_states_explore(beside.trace, first, true, &result);
    crash_trace_release(beside.trace);
    return result.violations > 0;
}

static void missing_sync_of_the_last_round_is_found_out(void **state)
{
    struct beside beside = {.script = "lDaBR", .call = 0};
    (void)state;
    (void)begin(&beside);
    (void)compact(&beside);
    unsigned syncs = syncs_of_new_log(beside.trace);
    close_all(&beside);
    crash_trace_end(beside.trace);
    crash_trace_release(beside.trace);

    assert_true(syncs >= 2);
    assert_true(is_found_out(CRASH_LIE_FSYNC_FILE, syncs));
}

static void missing_directory_sync_is_found_out(void **state)
{
    (void)state;
    assert_true(is_found_out(CRASH_LIE_FSYNC_DIRECTORY, 0));
}

static void switch_without_the_lock_is_found_out(void **state)
{
    (void)state;
    assert_true(is_found_out(CRASH_LIE_LOCK, 0));
}

static int forget(void **state)
{
    (void)state;
    crash_states_forget();
    return 0;
}

#define CRASH_TEST(test) cmocka_unit_test_setup(test, forget)

int main(void)
{
    for (size_t i = 0; i < VALUES; i++) {
        (void)snprintf(values[i], sizeof values[i], "%zu", i + 1);
        /* What follows a lost sector begins as a line does. */
        memset(long_values[i], '{', sizeof long_values[i] - 1);
        (void)snprintf(long_values[i], 16, "long %zu", i + 1);
        long_values[i][strlen(long_values[i])] = '.';
    }
    make_base();
    const struct CMUnitTest tests[] = {
        CRASH_TEST(missing_sync_of_the_last_round_is_found_out),
        CRASH_TEST(missing_directory_sync_is_found_out),
        CRASH_TEST(switch_without_the_lock_is_found_out),
        CRASH_TEST(writes_at_any_step_survive_power_cuts),
        CRASH_TEST(writes_at_all_steps_survive_power_cuts),
        CRASH_TEST(unsynced_writes_at_any_step_lose_nothing_else),
        CRASH_TEST(death_beside_writers_and_power_cut_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
