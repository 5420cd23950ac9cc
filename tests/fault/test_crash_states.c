/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write survives a power cut at any moment.
 * Small workloads are recorded, and every state that the disk may be in after
 * each of their steps is laid out, opened and read. KVSTORE_CRASH_LENGTH makes
 * the workloads longer (4 operations), KVSTORE_CRASH_SUBSETS and
 * KVSTORE_CRASH_SECTORS enlarge the sets of which all subsets are tried (6). */

#include "any_status.h"
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

#define STEPS_MAX 12

/* One value for each place in a script; a long one spans several sectors. */
static char short_values[STEPS_MAX][16];
static char long_values[STEPS_MAX][1300];

static const char two_keys[] = "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
                               "{\"Set\":{\"key\":\"b\",\"val\":\"0\"}}\n";

/* A set that a killed writer left unfinished, and lines that cannot be one. */
static const char torn_tail[] = "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
                                "{\"Set\":{\"key\":\"b\",\"val\":\"0\"}}\n"
                                "{\"Set\":{\"key\":\"a\",\"val\":\"ne";
static const char torn_lines[] = "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
                                 "{\"Set\":{\"key\":\"b\",\"val\":\"0\"}}\n"
                                 "\"key\":\"a\",\"val\":\"never\"\n"
                                 "{\"Set\":{\"key\":\"b\"";
static const char torn_part[] = "\"key\":\"a\",\"val\":\"never\"\n"
                                "{\"Set\":{\"key\":\"b\"";
/* The beginning of another line before the end of this one makes a line that
 * looks as if it had been written whole. */
static const char torn_end[] = "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
                               "{\"Set\":{\"key\":\"b\",\"val\":\"0\"}}\n"
                               "...................................."
                               "....................................}}\n";
static const char unterminated[] = "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
                                   "{\"Set\":{\"key\":\"b\",\"val\":\"0\"}}";

/* Two damaged lines between sound ones; the key of the second can be read. */
#define DAMAGED_PART \
    "what is this\n" \
    "{\"Set\":{\"key\":\"d\",\"val\":\"x\",\"sum\":\"00000000\"}}\n"
static const char damaged[] =
    "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n" DAMAGED_PART
    "{\"Set\":{\"key\":\"b\",\"val\":\"0\"}}\n";

/* Returns the bytes of a log that may be moved, but not dropped; or NULL. */
static const char *kept_of(const char *log)
{
    if (log == torn_lines) {
        return torn_part;
    }
    return log == damaged ? DAMAGED_PART : NULL;
}

/* --- Workloads --- */

struct actors {
    struct crash_trace *trace;
    const kvstore_options *options;
    kvstore *stores[2];
};

/* Returns the first or the second handle, opened when it is needed. */
static kvstore *get_store(struct actors *actors, int which)
{
    if (actors->stores[which] == NULL) {
        any_status(kvstore_open(
            actors->trace->path, actors->options, &actors->stores[which]));
    }
    return actors->stores[which];
}

static void put(struct actors *actors,
                int which,
                const char *key,
                const char *value)
{
    kvstore *store = get_store(actors, which);
    if (store != NULL) {
        (void)crash_trace_set(actors->trace,
                              store,
                              key,
                              value,
                              actors->options->sync == KVSTORE_SYNC_ALWAYS);
    }
}

static void put_pair(struct actors *actors, const char *value)
{
    kvstore *store = get_store(actors, 0);
    if (store != NULL) {
        (void)crash_trace_write(actors->trace,
                                store,
                                value,
                                actors->options->sync == KVSTORE_SYNC_ALWAYS);
    }
}

/* What a durable handle reads must stay. */
static void see(struct actors *actors)
{
    void *value = NULL;
    size_t size = 0;
    kvstore *store = NULL;
    if (kvstore_open(actors->trace->path, NULL, &store) == KVSTORE_OK) {
        kvstore_status status = kvstore_get(store, "a", 1, &value, &size);
        if (status == KVSTORE_OK || status == KVSTORE_NOT_FOUND) {
            crash_trace_see(actors->trace, "a", value);
        }
    }
    kvstore_free(value);
    kvstore_close(store);
}

/* Does an operation that changes a key or more. False: it is none. */
static bool act_on_keys(struct actors *actors, char operation, size_t place)
{
    switch (operation) {
    case 's':
        put(actors, 0, "a", short_values[place]);
        return true;
    case 'l':
        put(actors, 0, "a", long_values[place]);
        return true;
    case 'b':
        put(actors, 0, "b", short_values[place]);
        return true;
    case 'r':
        put(actors, 0, "a", NULL);
        return true;
    case 'w':
        put_pair(actors, short_values[place]);
        return true;
    case 'W':
        put_pair(actors, long_values[place]);
        return true;
    case 'S':
        put(actors, 1, "a", short_values[place]);
        return true;
    case 'L':
        put(actors, 1, "b", long_values[place]);
        return true;
    default:
        return false;
    }
}

static void act_on_store(struct actors *actors, char operation)
{
    kvstore *store = get_store(actors, operation == 'C');
    if (store == NULL) {
        return;
    }
    switch (operation) {
    case 'c':
    case 'C':
        any_status(kvstore_compact(store));
        break;
    case 'p':
        any_status(kvstore_repair(store, NULL, NULL));
        break;
    case 'y':
        crash_trace_barrier(actors->trace, kvstore_sync(store));
        break;
    default:
        scratch_die("no such operation");
    }
}

/* Does one operation: s and l set a key to a short or a long value, b another
 * key, r removes the first; w and W write a batch of short or long values; c
 * compacts, p repairs, o opens anew, y syncs, g reads with a handle of its own;
 * S, L and C use a second handle, as another process would. */
static void act(struct actors *actors, char operation, size_t place)
{
    if (act_on_keys(actors, operation, place)) {
        return;
    }
    switch (operation) {
    case 'o':
        kvstore_close(actors->stores[0]);
        actors->stores[0] = NULL;
        break;
    case 'g':
        see(actors);
        break;
    default:
        act_on_store(actors, operation);
    }
}

static void run_script(struct crash_trace *trace,
                       const char *script,
                       const kvstore_options *options)
{
    struct actors actors = {.trace = trace, .options = options};
    for (size_t i = 0; script[i] != '\0'; i++) {
        act(&actors, script[i], i);
    }
    kvstore_close(actors.stores[0]);
    kvstore_close(actors.stores[1]);
}

static void expect_base(struct crash_trace *trace)
{
    if (trace->has_base) {
        crash_trace_expect(trace, "a", "0");
        crash_trace_expect(trace, "b", "0");
    }
    if (trace->has_base && trace->base[trace->base_size - 1] == '}') {
        /* A line without its end is not acknowledged. */
        crash_trace_allow(trace, "b", NULL);
    }
}

static void report(const char *script, const struct crash_result *result)
{
    if (result->violations > 0) {
        (void)fprintf(stderr,
                      "'%s': %llu violations, the first %s\n",
                      script,
                      (unsigned long long)result->violations,
                      result->first);
    }
}

/* Records a script on a log, and explores it. */
static void explore(const char *log,
                    const char *script,
                    const kvstore_options *options,
                    struct crash_result *result)
{
    struct crash_trace *trace = crash_trace_begin(log);
    expect_base(trace);
    size_t first = trace->event_count;
    trace->kept = kept_of(log);
    run_script(trace, script, options);
    crash_trace_end(trace);
    uint64_t before = result->violations;
    crash_states_explore(trace, first, false, result);
    if (result->violations != before) {
        report(script, result);
    }
    crash_trace_release(trace);
}

/* Makes the i-th of all scripts of a length. */
static void make_script(const char *operations,
                        size_t length,
                        size_t i,
                        char *script_out)
{
    size_t count = strlen(operations);
    for (size_t place = 0; place < length; place++) {
        script_out[place] = operations[i % count];
        i /= count;
    }
    script_out[length] = '\0';
}

static size_t script_count(const char *operations, size_t length)
{
    size_t count = 1;
    for (size_t i = 0; i < length; i++) {
        count *= strlen(operations);
    }
    return count;
}

static void explore_all(const char *log,
                        const char *operations,
                        size_t length,
                        const kvstore_options *options,
                        struct crash_result *result)
{
    char script[STEPS_MAX];
    for (size_t i = 0; i < script_count(operations, length); i++) {
        make_script(operations, length, i, script);
        explore(log, script, options, result);
    }
}

static void tell(const char *what, const struct crash_result *result)
{
    (void)printf("%s: %llu states, %llu with damage, told of %llu keys\n",
                 what,
                 (unsigned long long)result->states,
                 (unsigned long long)result->damaged,
                 (unsigned long long)result->told);
}

static void assert_sound(const struct crash_result *result)
{
    assert_true(result->states > 0);
    assert_int_equal(result->violations, 0);
    assert_int_equal(result->damaged, 0);
}

static size_t length(void)
{
    size_t wanted = scratch_number("KVSTORE_CRASH_LENGTH", 4);
    return wanted < 3 ? 3 : wanted < STEPS_MAX ? wanted : STEPS_MAX - 1;
}

/* --- Power cuts --- */

static const kvstore_options defaults = KVSTORE_OPTIONS_INIT;
static kvstore_options exclusive = KVSTORE_OPTIONS_INIT;

static void acknowledged_writes_survive_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {0};

    explore_all(two_keys, "slrbcoSC", length(), &defaults, &result);

    tell("all short scripts", &result);
    assert_sound(&result);
}

static void new_store_survives_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {0};

    explore_all(NULL, "slrcS", length(), &defaults, &result);

    tell("new stores", &result);
    assert_sound(&result);
}

static void mending_survives_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {0};

    explore_all(torn_tail, "slrcL", 2, &defaults, &result);
    explore_all(torn_lines, "slrcL", 2, &defaults, &result);
    explore_all(torn_end, "slrcL", 2, &defaults, &result);
    explore_all(unterminated, "slrcL", 2, &defaults, &result);

    tell("torn tails", &result);
    assert_sound(&result);
}

/* At any moment the damaged bytes are in the log or in a file next to it. */
static void repair_survives_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {0};

    explore_all(damaged, "slrcp", length() - 1, &defaults, &result);

    tell("repairs", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

/* A batch that was not acknowledged may leave damage, if a later part of it is on
 * the disk and an earlier one is not; but never half of it that works. */
static void batches_survive_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {.may_be_damaged = true};
    kvstore_options unsynced = KVSTORE_OPTIONS_INIT;
    unsynced.sync = KVSTORE_SYNC_NONE;
    unsynced.compaction = KVSTORE_COMPACT_MANUAL;

    explore_all(two_keys, "wWscoS", 3, &defaults, &result);
    explore_all(NULL, "wWsc", 3, &defaults, &result);
    explore_all(torn_tail, "wWc", 2, &defaults, &result);
    explore_all(torn_lines, "wWc", 2, &defaults, &result);
    explore_all(two_keys, "wWsc", 3, &exclusive, &result);
    explore(two_keys, "wys", &unsynced, &result);
    explore(two_keys, "WwycW", &unsynced, &result);

    tell("batches", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

/* True if there is a write of padding, and a write of this many bytes in its
 * place. */
static bool has_written_over_padding(const struct crash_trace *trace,
                                     size_t least)
{
    uint64_t padded_end = 0;
    for (size_t i = 0; i < trace->event_count; i++) {
        const struct crash_event *event = &trace->events[i];
        bool is_padding = event->type == CRASH_WRITE && event->size > 64 &&
                          event->bytes[0] == '\t';
        if (event->type == CRASH_WRITE && !is_padding && event->size >= least &&
            event->offset + event->size < padded_end) {
            return true;
        }
        padded_end = is_padding ? event->offset + event->size : padded_end;
    }
    return false;
}

static void exclusive_handle_pads_the_log(void **state)
{
    (void)state;
    struct crash_trace *trace = crash_trace_begin(two_keys);

    run_script(trace, "sbl", &exclusive);

    crash_trace_end(trace);
    assert_true(has_written_over_padding(trace, 1));
    assert_true(has_written_over_padding(trace, 1200));
    crash_trace_release(trace);
}

/* The lines are written over padding. */
static void exclusive_handle_survives_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {0};

    explore_all(two_keys, "slrbc", length(), &exclusive, &result);

    tell("exclusive", &result);
    assert_sound(&result);
}

static void compaction_that_is_due_survives_power_cuts(void **state)
{
    (void)state;
    struct crash_result result = {0};
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 1;

    explore_all(two_keys, "slrbS", length(), &options, &result);

    tell("compaction when due", &result);
    assert_sound(&result);
}

/* Unsynced lines may be lost in any combination, so there may be damage. */
static void sync_is_a_barrier(void **state)
{
    (void)state;
    struct crash_result result = {0};
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;

    explore(two_keys, "sys", &options, &result);
    explore(two_keys, "sbyr", &options, &result);
    explore(NULL, "sybyry", &options, &result);
    explore(two_keys, "rycys", &options, &result);
    explore(two_keys, "sCysC", &options, &result);

    tell("unsynced", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

/* --- Power cuts after other mishaps --- */

struct mishap {
    uint64_t dies_at; /* As in struct crash_trace. */
    uint64_t fails_sync_at;
    uint64_t fails_write_at;
    bool is_unsynced; /* What follows is synced only at its end. */
    bool is_exclusive;
};

/* Does what another process does after a mishap. */
static void follow_up(struct crash_trace *trace, struct mishap mishap)
{
    if (mishap.is_unsynced) {
        kvstore_options options = KVSTORE_OPTIONS_INIT;
        options.sync = KVSTORE_SYNC_NONE;
        run_script(trace, "sby", &options);
    } else {
        run_script(trace, mishap.dies_at != 0 ? "LrL" : "s", &defaults);
    }
}

/* Records a script with a mishap in it, then what another process does, and
 * explores it. False if there was no mishap. */
static bool explore_mishap(const char *log,
                           const char *script,
                           struct mishap mishap,
                           struct crash_result *result)
{
    struct crash_trace *trace = crash_trace_begin(log);
    expect_base(trace);
    size_t first = trace->event_count;
    trace->dies_at = mishap.dies_at;
    trace->fails_sync_at = mishap.fails_sync_at;
    trace->fails_write_at = mishap.fails_write_at;
    trace->kept = kept_of(log);
    run_script(trace, script, mishap.is_exclusive ? &exclusive : &defaults);
    bool has_happened = trace->is_dead || trace->has_failed;
    crash_trace_revive(trace);
    follow_up(trace, mishap);
    crash_trace_end(trace);
    uint64_t before = result->violations;
    if (has_happened) {
        crash_states_explore(trace, first, false, result);
    }
    if (result->violations != before) {
        (void)fprintf(stderr,
                      "death at %llu, sync %llu, write %llu: ",
                      (unsigned long long)mishap.dies_at,
                      (unsigned long long)mishap.fails_sync_at,
                      (unsigned long long)mishap.fails_write_at);
        report(script, result);
    }
    crash_trace_release(trace);
    return has_happened;
}

/* Lets the process die at each change that a script makes. */
static void explore_deaths(const char *log,
                           const char *script,
                           bool is_exclusive,
                           struct crash_result *result)
{
    for (int i = 0; i < 2; i++) {
        struct mishap mishap = {
            .dies_at = 1, .is_unsynced = i == 1, .is_exclusive = is_exclusive};
        while (explore_mishap(log, script, mishap, result)) {
            mishap.dies_at++;
        }
    }
}

/* The line of a writer that died before its sync may get holes while a later
 * writer's line after it is whole. Then the store reports it. */
static void death_and_power_cut_lose_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *log;
        const char *script;
    } cases[] = {{NULL, "s"},
                 {NULL, "lsc"},
                 {two_keys, "sl"},
                 {two_keys, "rc"},
                 {two_keys, "scb"},
                 {two_keys, "cSc"},
                 {torn_tail, "l"},
                 {torn_lines, "s"},
                 {torn_end, "s"},
                 {unterminated, "s"},
                 {damaged, "p"},
                 {damaged, "sps"}};
    struct crash_result result = {.may_be_damaged = true};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        explore_deaths(cases[i].log, cases[i].script, false, &result);
    }
    char script[STEPS_MAX];
    for (size_t i = 0; i < script_count("slrbcS", length() - 2); i++) {
        make_script("slrbcS", length() - 2, i, script);
        explore_deaths(two_keys, script, false, &result);
    }

    tell("deaths", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

static void death_over_padding_and_power_cut_lose_nothing(void **state)
{
    (void)state;
    static const char *const scripts[] = {"ssb", "lsr", "sls", "scs", "bsos"};
    struct crash_result result = {.may_be_damaged = true};

    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        explore_deaths(two_keys, scripts[i], true, &result);
        explore_deaths(NULL, scripts[i], true, &result);
    }

    tell("deaths over padding", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

static void failed_sync_and_power_cut_lose_nothing(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "slbcs", "scsrs", "cscb", "lsScb", "rocs"};
    struct crash_result result = {0};

    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct mishap mishap = {.fails_sync_at = 1};
        while (explore_mishap(two_keys, scripts[i], mishap, &result)) {
            mishap.fails_sync_at++;
        }
        mishap = (struct mishap){.fails_sync_at = 1, .is_exclusive = true};
        while (explore_mishap(two_keys, scripts[i], mishap, &result)) {
            mishap.fails_sync_at++;
        }
    }

    tell("failed syncs", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

static void full_disk_and_power_cut_lose_nothing(void **state)
{
    (void)state;
    static const char *const scripts[] = {"lsb", "lcs", "slr", "lLs"};
    struct crash_result result = {0};

    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct mishap mishap = {.fails_write_at = 1};
        while (explore_mishap(two_keys, scripts[i], mishap, &result)) {
            mishap.fails_write_at++;
        }
        mishap = (struct mishap){.fails_write_at = 1, .is_exclusive = true};
        while (explore_mishap(two_keys, scripts[i], mishap, &result)) {
            mishap.fails_write_at++;
        }
    }

    tell("full disks", &result);
    assert_true(result.states > 0);
    assert_int_equal(result.violations, 0);
}

/* --- The explorer must be able to fail --- */

/* Records a script whose syncs do nothing and report success: a violation must
 * be found. */
static void assert_found_out(const char *log, const char *script, unsigned lies)
{
    struct crash_result result = {0};
    struct crash_trace *trace = crash_trace_begin(log);
    expect_base(trace);
    size_t first = trace->event_count;
    trace->lies = lies;
    trace->kept = kept_of(log);
    run_script(trace, script, &defaults);
    crash_trace_end(trace);
    crash_states_explore(trace, first, true, &result);
    crash_trace_release(trace);
    assert_true(result.violations > 0);
}

static void missing_fdatasync_is_found_out(void **state)
{
    (void)state;
    assert_found_out(two_keys, "s", CRASH_LIE_FDATASYNC);
    assert_found_out(two_keys, "r", CRASH_LIE_FDATASYNC);
    assert_found_out(torn_tail, "s", CRASH_LIE_FDATASYNC);
}

static void missing_directory_sync_is_found_out(void **state)
{
    (void)state;
    assert_found_out(NULL, "s", CRASH_LIE_FSYNC_DIRECTORY);
    assert_found_out(two_keys, "cs", CRASH_LIE_FSYNC_DIRECTORY);
    assert_found_out(two_keys, "cr", CRASH_LIE_FSYNC_DIRECTORY);
}

static void missing_sync_of_the_new_log_is_found_out(void **state)
{
    (void)state;
    assert_found_out(two_keys, "c", CRASH_LIE_FSYNC_FILE);
    assert_found_out(damaged, "p", CRASH_LIE_FSYNC_FILE);
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
    exclusive.exclusive = true;
    exclusive.lock_timeout_ms = -1; /* No second handle is open. */
    for (size_t i = 0; i < STEPS_MAX; i++) {
        (void)snprintf(short_values[i], sizeof short_values[i], "%zu", i + 1);
        /* What follows a lost sector begins as a line does. */
        memset(long_values[i], '{', sizeof long_values[i] - 1);
        (void)snprintf(long_values[i], 16, "long %zu", i + 1);
        long_values[i][strlen(long_values[i])] = '.';
    }
    const struct CMUnitTest tests[] = {
        CRASH_TEST(missing_fdatasync_is_found_out),
        CRASH_TEST(missing_directory_sync_is_found_out),
        CRASH_TEST(missing_sync_of_the_new_log_is_found_out),
        CRASH_TEST(acknowledged_writes_survive_power_cuts),
        CRASH_TEST(new_store_survives_power_cuts),
        CRASH_TEST(mending_survives_power_cuts),
        CRASH_TEST(repair_survives_power_cuts),
        CRASH_TEST(batches_survive_power_cuts),
        CRASH_TEST(exclusive_handle_pads_the_log),
        CRASH_TEST(exclusive_handle_survives_power_cuts),
        CRASH_TEST(compaction_that_is_due_survives_power_cuts),
        CRASH_TEST(sync_is_a_barrier),
        CRASH_TEST(death_and_power_cut_lose_nothing),
        CRASH_TEST(death_over_padding_and_power_cut_lose_nothing),
        CRASH_TEST(failed_sync_and_power_cut_lose_nothing),
        CRASH_TEST(full_disk_and_power_cut_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
