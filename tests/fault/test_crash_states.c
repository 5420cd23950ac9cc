/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write survives a power cut at any moment.
 * Small workloads are recorded, and every state that the disk may be in after
 * each of their steps is laid out, opened and read; of some, the recovery is
 * recorded in turn, and cut at each of its steps. KVSTORE_CRASH_LENGTH makes
 * the workloads longer (4 operations), KVSTORE_CRASH_SUBSETS and
 * KVSTORE_CRASH_SECTORS enlarge the sets of which all subsets are tried (6).
 * KVSTORE_CRASH_WHOLE=1 does one thing alone: all sequences of up to three
 * operations, not some of those of three. Of every N-th state the recovery is
 * cut then, by KVSTORE_CRASH_RECOVERIES=N (4), and the bits of
 * KVSTORE_CRASH_HANDLES choose the handles: shared unsynced ones, exclusive
 * unsynced ones, shared durable ones, exclusive durable ones (15). */

#include "crash_script.h"
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

/* As many keys as an index has room for before it grows, nearly. */
#define FILLERS 185u
static char crowded[16384];
static const struct crash_group fillers = {"f", "f0", FILLERS};

static void make_crowded(void)
{
    size_t used = sizeof two_keys - 1;
    memcpy(crowded, two_keys, used);
    for (unsigned i = 0; i < FILLERS; i++) {
        used += (size_t)snprintf(crowded + used,
                                 sizeof crowded - used,
                                 "{\"Set\":{\"key\":\"f%u\",\"val\":\"0\"}}\n",
                                 i);
    }
}

/* Returns the bytes of a log that may be moved, but not dropped; or NULL. */
static const char *kept_of(const char *log)
{
    if (log == torn_lines) {
        return torn_part;
    }
    return log == damaged ? DAMAGED_PART : NULL;
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

static struct crash_trace *begin_trace(const char *log)
{
    struct crash_trace *trace = crash_trace_begin(log);
    crash_script_expect(trace);
    if (log == crowded) {
        crash_trace_expect(trace, fillers.first, "0");
        crash_trace_count(trace, &fillers);
    }
    trace->kept = kept_of(log);
    return trace;
}

/* Records a script on a log, and explores it. */
static void explore(const char *log,
                    const char *script,
                    const kvstore_options *options,
                    struct crash_result *result)
{
    struct crash_trace *trace = begin_trace(log);
    size_t first = trace->event_count;
    crash_script_run(trace, script, options);
    crash_trace_end(trace);
    uint64_t before = result->violations;
    crash_states_explore(trace, first, false, result);
    if (result->violations != before) {
        report(script, result);
    }
    crash_trace_release(trace);
}

static void explore_all(const char *log,
                        const char *operations,
                        size_t length,
                        const kvstore_options *options,
                        struct crash_result *result)
{
    char script[CRASH_SCRIPT_MAX];
    for (size_t i = 0; i < crash_script_count(operations, length); i++) {
        crash_script_make(operations, length, i, script);
        explore(log, script, options, result);
    }
}

static void tell(const char *what, const struct crash_result *result)
{
    (void)printf("%s: %llu states, %llu with damage, told of %llu keys, "
                 "%llu lost; %llu of them after a cut in %llu recoveries\n",
                 what,
                 (unsigned long long)result->states,
                 (unsigned long long)result->damaged,
                 (unsigned long long)result->told,
                 (unsigned long long)result->violations,
                 (unsigned long long)result->recovery_states,
                 (unsigned long long)result->recoveries);
    (void)fflush(stdout);
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
    return wanted < 3                  ? 3
           : wanted < CRASH_SCRIPT_MAX ? wanted
                                       : CRASH_SCRIPT_MAX - 1;
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

    crash_script_run(trace, "sbl", &exclusive);

    crash_trace_end(trace);
    assert_true(has_written_over_padding(trace, 1));
    assert_true(has_written_over_padding(trace, 1200));
    crash_trace_release(trace);
}

/* An unsynced one writes through memory, past all system calls. */
static void lines_over_padding_are_recorded(void **state)
{
    (void)state;
    struct crash_trace *trace = crash_trace_begin(two_keys);
    kvstore_options unsynced = exclusive;
    unsynced.sync = KVSTORE_SYNC_NONE;

    crash_script_run(trace, "sbl", &unsynced);

    crash_trace_end(trace);
    assert_true(has_written_over_padding(trace, 1));
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

/* --- All sequences --- */

/* A set, a remove, a batch, a compaction, a new handle, a sync, growth. */
#define OPERATIONS "srwcoyG"
#define SEQUENCE_LENGTH_MAX 3u

static bool is_whole(void)
{
    return scratch_number("KVSTORE_CRASH_WHOLE", 0) != 0;
}

static kvstore_options with(bool is_exclusive, bool is_synced)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.exclusive = is_exclusive;
    options.lock_timeout_ms = -1; /* No second handle is open. */
    options.sync = is_synced ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    return options;
}

/* Explores every so many-th of the longest sequences, and all shorter ones. */
static void explore_sequences(const char *log,
                              const kvstore_options *options,
                              size_t step,
                              struct crash_result *result)
{
    char script[CRASH_SCRIPT_MAX];
    for (size_t size = 1; size <= SEQUENCE_LENGTH_MAX; size++) {
        size_t count = crash_script_count(OPERATIONS, size);
        size_t apart = size == SEQUENCE_LENGTH_MAX ? step : 1;
        for (size_t i = 0; i < count; i += apart) {
            crash_script_make(OPERATIONS, size, i, script);
            explore(log, script, options, result);
        }
    }
}

/* What has been synced stays, and a batch is there as a whole or not at all.
 * Unsynced lines may be lost in any combination, so there may be damage. */
static void all_sequences_survive_power_cuts(void **state)
{
    (void)state;
    size_t step = is_whole() ? 1 : 43;
    unsigned long handles = scratch_number("KVSTORE_CRASH_HANDLES", 15);
    struct crash_result result = {
        .may_be_damaged = true,
        .cuts_recovery_at =
            scratch_number("KVSTORE_CRASH_RECOVERIES", is_whole() ? 4 : 61)};

    for (unsigned i = 0; i < 4; i++) {
        if ((handles >> i & 1) == 0) {
            continue;
        }
        kvstore_options options = with((i & 1) != 0, (i & 2) != 0);
        explore_sequences(crowded, &options, step, &result);
        explore_sequences(NULL, &options, step, &result);
        tell("all sequences so far", &result);
    }

    assert_true(result.states > 0);
    assert_true(result.recovery_states > 0);
    assert_int_equal(result.violations, 0);
}

static uint64_t index_bytes(const struct crash_trace *trace)
{
    kvstore *store = NULL;
    kvstore_stats stats;
    assert_int_equal(kvstore_open(trace->path, NULL, &store), KVSTORE_OK);
    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);
    kvstore_close(store);
    return stats.index_bytes;
}

static void growth_in_a_script_grows_the_index(void **state)
{
    (void)state;
    struct crash_trace *trace = begin_trace(crowded);
    uint64_t before = index_bytes(trace);

    crash_script_run(trace, "s", &defaults);
    assert_int_equal(index_bytes(trace), before);
    crash_script_run(trace, "G", &defaults);
    assert_true(index_bytes(trace) > before);

    crash_trace_end(trace);
    crash_trace_release(trace);
}

static void recovery_survives_power_cuts(void **state)
{
    (void)state;
    static const char *const logs[] = {
        NULL, two_keys, torn_tail, torn_lines, torn_end, unterminated, damaged};
    struct crash_result result = {.may_be_damaged = true,
                                  .cuts_recovery_at = 1};

    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        explore_all(logs[i], "slrc", 1, &defaults, &result);
    }

    tell("recoveries", &result);
    assert_true(result.recovery_states > 0);
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
        crash_script_run(trace, "sby", &options);
    } else {
        crash_script_run(trace, mishap.dies_at != 0 ? "LrL" : "s", &defaults);
    }
}

/* Records a script with a mishap in it, then what another process does, and
 * explores it. False if there was no mishap. */
static bool explore_mishap(const char *log,
                           const char *script,
                           struct mishap mishap,
                           struct crash_result *result)
{
    struct crash_trace *trace = begin_trace(log);
    size_t first = trace->event_count;
    trace->dies_at = mishap.dies_at;
    trace->fails_sync_at = mishap.fails_sync_at;
    trace->fails_write_at = mishap.fails_write_at;
    crash_script_run(
        trace, script, mishap.is_exclusive ? &exclusive : &defaults);
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
    char script[CRASH_SCRIPT_MAX];
    for (size_t i = 0; i < crash_script_count("slrbcS", length() - 2); i++) {
        crash_script_make("slrbcS", length() - 2, i, script);
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
    struct crash_trace *trace = begin_trace(log);
    size_t first = trace->event_count;
    trace->lies = lies;
    crash_script_run(trace, script, &defaults);
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

static void missing_sync_of_a_batch_is_found_out(void **state)
{
    (void)state;
    assert_found_out(two_keys, "w", CRASH_LIE_FDATASYNC);
    assert_found_out(crowded, "G", CRASH_LIE_FDATASYNC);
}

/* Returns how many violations there are if the handles that recover lie. */
static uint64_t violations_of_recovery(const char *log, unsigned lies)
{
    struct crash_result result = {
        .may_be_damaged = true, .cuts_recovery_at = 1, .recovery_lies = lies};
    struct crash_trace *trace = begin_trace(log);
    size_t first = trace->event_count;
    crash_script_run(trace, "s", &defaults);
    crash_trace_end(trace);
    crash_states_explore(trace, first, true, &result);
    crash_trace_release(trace);
    return result.violations;
}

static void recovery_that_does_not_sync_is_found_out(void **state)
{
    (void)state;
    assert_int_equal(violations_of_recovery(torn_tail, 0), 0);
    crash_states_forget();
    assert_true(violations_of_recovery(torn_tail, CRASH_LIE_FDATASYNC) > 0);
    crash_states_forget();
    assert_true(violations_of_recovery(NULL, CRASH_LIE_FSYNC_DIRECTORY) > 0);
}

static void missing_sync_at_a_barrier_is_found_out(void **state)
{
    (void)state;
    kvstore_options unsynced = with(false, false);
    struct crash_result result = {.may_be_damaged = true};
    struct crash_trace *trace = begin_trace(two_keys);
    size_t first = trace->event_count;
    trace->lies = CRASH_LIE_FDATASYNC | CRASH_LIE_FSYNC_FILE;
    crash_script_run(trace, "sy", &unsynced);
    crash_trace_end(trace);
    crash_states_explore(trace, first, true, &result);
    crash_trace_release(trace);
    assert_true(result.violations > 0);
}

/* As if there had been another key, of which nothing is left. */
static void missing_key_is_found_out(void **state)
{
    (void)state;
    static const struct crash_group two = {"a", "a", 2};
    struct crash_result result = {0};
    struct crash_trace *trace = begin_trace(two_keys);
    size_t first = trace->event_count;
    crash_trace_count(trace, &two);
    crash_script_run(trace, "b", &defaults);
    crash_trace_end(trace);
    crash_states_explore(trace, first, true, &result);
    crash_trace_release(trace);
    assert_true(result.violations > 0);
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
    crash_script_prepare();
    make_crowded();
    const struct CMUnitTest whole[] = {
        CRASH_TEST(all_sequences_survive_power_cuts),
    };
    const struct CMUnitTest tests[] = {
        CRASH_TEST(missing_fdatasync_is_found_out),
        CRASH_TEST(missing_directory_sync_is_found_out),
        CRASH_TEST(missing_sync_of_the_new_log_is_found_out),
        CRASH_TEST(missing_sync_of_a_batch_is_found_out),
        CRASH_TEST(missing_sync_at_a_barrier_is_found_out),
        CRASH_TEST(missing_key_is_found_out),
        CRASH_TEST(recovery_that_does_not_sync_is_found_out),
        CRASH_TEST(growth_in_a_script_grows_the_index),
        CRASH_TEST(all_sequences_survive_power_cuts),
        CRASH_TEST(recovery_survives_power_cuts),
        CRASH_TEST(acknowledged_writes_survive_power_cuts),
        CRASH_TEST(new_store_survives_power_cuts),
        CRASH_TEST(mending_survives_power_cuts),
        CRASH_TEST(repair_survives_power_cuts),
        CRASH_TEST(batches_survive_power_cuts),
        CRASH_TEST(exclusive_handle_pads_the_log),
        CRASH_TEST(lines_over_padding_are_recorded),
        CRASH_TEST(exclusive_handle_survives_power_cuts),
        CRASH_TEST(compaction_that_is_due_survives_power_cuts),
        CRASH_TEST(sync_is_a_barrier),
        CRASH_TEST(death_and_power_cut_lose_nothing),
        CRASH_TEST(death_over_padding_and_power_cut_lose_nothing),
        CRASH_TEST(failed_sync_and_power_cut_lose_nothing),
        CRASH_TEST(full_disk_and_power_cut_lose_nothing),
    };
    return is_whole() ? cmocka_run_group_tests(whole, NULL, NULL)
                      : cmocka_run_group_tests(tests, NULL, NULL);
}
