/* SPDX-License-Identifier: MIT */

/* Checks that a compaction alongside which others write loses nothing, and
 * brings nothing back, whichever step it dies at. The compactor pauses before
 * each system call that it makes without the writers' lock, and others act
 * there. Windows, buffers and rounds are small here, so that a short log is
 * copied in many steps. KVSTORE_REWRITE_KILLS=N does all at once only at every
 * N-th pause (1). */

#include "kill_beside.h"
#include "kill_trial.h"
#include "kill_witness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Which handle reads first, and which writes first: see kill_witness.h. */
static const char *const orders[] = {"rqpond", "drqnrq", "nrqdrq", "Orqndr"};

static void compact_beside(struct kill_child *child)
{
    kill_child_open(child, NULL);
    child->board->may_pause = true;
    kill_child_must(kvstore_compact(child->store));
    child->board->may_pause = false;
}

static const struct kill_operation compaction = {.name =
                                                     "compact beside others",
                                                 .disturb = kill_beside_fill,
                                                 .run = compact_beside,
                                                 .beside = kill_beside_act,
                                                 .renames = 2};

/* One letter at each pause, in turn: writers that go on; readers and openers
 * between them; writers that die themselves; and a deleted index. */
static const char *const scripts[] = {"nelELbt",
                                      "EqLobernl",
                                      "ehLnwbE",
                                      "eLbinE"};

static bool run(struct kill_trial *trial,
                const char *script,
                unsigned pause,
                const struct kill_plan *plan)
{
    trial->script = script;
    trial->pause = pause;
    return kill_trial_run(
        trial, &compaction, plan, orders[(plan->n + pause) % COUNT(orders)]);
}

/* --- Death at each step --- */

/* Right after a call, too, but only with the first script: otherwise others act
 * in between, and it is as before the next call. */
static const struct kill_plan moments[] = {
    {.moment = KILL_BEFORE},
    {.call = "pwrite", .moment = KILL_HALF_WRITTEN},
    {.moment = KILL_AFTER},
};

/* Lets the compactor die at every step-th call. Returns how many deaths there
 * were. */
static unsigned die_everywhere(struct kill_trial *trial,
                               const char *script,
                               struct kill_plan plan,
                               unsigned step)
{
    unsigned deaths = 0;
    plan.signal = SIGKILL;
    for (plan.n = 1; run(trial, script, 0, &plan); plan.n += step) {
        deaths++;
    }
    return deaths;
}

static void death_beside_writers_loses_nothing(void **state)
{
    struct kill_trial *trial = *state;
    for (size_t i = 0; i < COUNT(scripts); i++) {
        unsigned deaths = 0;
        for (size_t j = 0; j < COUNT(moments) - (i == 0 ? 0 : 1); j++) {
            deaths += die_everywhere(trial, scripts[i], moments[j], i % 2 + 1);
        }
        (void)printf(
            "%-9s %4u deaths, %3u pauses\n", scripts[i], deaths, trial->pauses);
        assert_true(deaths > 100 && trial->pauses > 30);
    }
    assert_int_equal(trial->complaints, 0);
}

/* --- All at once, at each pause --- */

/* The steps of the switch, and the end. */
static const struct kill_plan late_deaths[] = {
    {.call = "fsync", .n = 3, .moment = KILL_BEFORE},
    {.call = "renameat", .n = 1, .moment = KILL_BEFORE},
    {.call = "renameat", .n = 1, .moment = KILL_AFTER},
    {.call = "renameat", .n = 2, .moment = KILL_AFTER},
    {.n = 0},
};

/* Returns how many pauses there are. */
static unsigned do_all_at_each_pause(struct kill_trial *trial,
                                     const char *script,
                                     const struct kill_plan *plan)
{
    unsigned step = (unsigned)scratch_number("KVSTORE_REWRITE_KILLS", 1);
    unsigned pause = 0;
    do {
        struct kill_plan own = *plan;
        own.signal = SIGKILL;
        pause += step;
        (void)run(trial, script, pause, &own);
    } while (pause <= trial->pauses);
    return trial->pauses;
}

static void writes_at_any_step_are_kept(void **state)
{
    static const char *const at_once[] = {"nelELbt", "LLEEhb"};
    struct kill_trial *trial = *state;
    for (size_t i = 0; i < COUNT(at_once); i++) {
        for (size_t j = 0; j < COUNT(late_deaths); j++) {
            unsigned pauses =
                do_all_at_each_pause(trial, at_once[i], &late_deaths[j]);
            (void)printf("%-9s at each of %3u pauses\n", at_once[i], pauses);
            assert_true(pauses > 20);
        }
    }
    assert_int_equal(trial->complaints, 0);
}

/* --- The lock --- */

static void readers_go_on_while_it_switches(void **state)
{
    const struct kill_plan plan = {.n = 0, .signal = SIGKILL};
    struct kill_trial *trial = *state;
    trial->lock_timeout_ms = 100;
    trial->board->pauses_with_lock = true;

    for (size_t i = 0; i < COUNT(scripts); i++) {
        (void)run(trial, scripts[i], 0, &plan);
    }

    assert_int_equal(trial->complaints, 0);
}

/* --- The harness must be able to fail --- */

static void assert_found_out(struct kill_trial *trial, enum kill_foul foul)
{
    const struct kill_plan plan = {.n = 0, .signal = SIGKILL};
    trial->is_quiet = true;
    (void)run(trial, scripts[0], 0, &plan);
    assert_int_equal(trial->complaints, 0);
    trial->board->foul = foul;
    (void)run(trial, scripts[0], 0, &plan);
    assert_true(trial->complaints > 0);
}

static void dropped_removes_are_found_out(void **state)
{
    assert_found_out(*state, KILL_DROPS_REMOVES);
}

static void dropped_rounds_are_found_out(void **state)
{
    assert_found_out(*state, KILL_DROPS_ROUNDS);
}

static void switch_without_the_lock_is_found_out(void **state)
{
    assert_found_out(*state, KILL_TAKES_NO_LOCK);
}

/* --- Set-up --- */

static int set_up(void **state)
{
    static struct kill_trial trial;
    kill_trial_set_up(&trial);
    *state = &trial;
    return 0;
}

static int tear_down(void **state)
{
    kill_trial_tear_down(*state);
    return 0;
}

#define KILL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KILL_TEST(dropped_removes_are_found_out),
        KILL_TEST(dropped_rounds_are_found_out),
        KILL_TEST(switch_without_the_lock_is_found_out),
        KILL_TEST(death_beside_writers_loses_nothing),
        KILL_TEST(writes_at_any_step_are_kept),
        KILL_TEST(readers_go_on_while_it_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
