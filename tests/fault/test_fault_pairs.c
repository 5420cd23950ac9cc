/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write is there after any two failures, of
 * different calls, in one run: each pair of calls, in the shortest workloads.
 * Either call may have done its work when it fails. KVSTORE_FAULT_PAIRS says in
 * how many workloads; KVSTORE_FAULT_WORKLOAD: of these, only those with this in
 * their names. */

#include "fault_scenes.h"
#include "fault_table.h"
#include "fault_trial.h"
#include "fault_workloads.h"
#include "kvstore.h"
#include "trial_changes.h"
#include "trial_oracle.h"
#include "trial_reads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHORTEST 16u
#define WORKLOADS_MAX 256u

struct measured {
    const struct trial_workload *workload;
    uint64_t calls;
    size_t place; /* Among all. */
};

static struct measured measured[WORKLOADS_MAX];
static size_t measured_count;

/* --- Which workloads --- */

static void measure(const struct trial_workload *workloads, size_t count)
{
    struct trial_figures figures = {.faults = 0};
    for (size_t i = 0; i < count; i++) {
        assert_true(measured_count < WORKLOADS_MAX);
        measured[measured_count] = (struct measured){
            .workload = &workloads[i],
            .place = measured_count,
            .calls = trial_run_plainly(&workloads[i], &fault_any, &figures)};
        measured_count++;
    }
    assert_int_equal(figures.complaints, 0);
}

static int compare(const void *left, const void *right)
{
    const struct measured *one = left;
    const struct measured *other = right;
    return one->calls != other->calls  ? (one->calls > other->calls ? 1 : -1)
           : one->place > other->place ? 1
                                       : -1;
}

static int order_workloads(void **state)
{
    (void)state;
    measure(fault_workloads, fault_workload_count);
    measure(fault_workloads_more, fault_workload_more_count);
    measure(fault_workloads_keys, fault_workload_keys_count);
    qsort(measured, measured_count, sizeof *measured, compare);
    return 0;
}

/* --- The tests --- */

static void run_pairs(const struct measured *of, struct trial_figures *figures)
{
    const struct fault_kind *kinds[] = {&fault_any, &fault_any_when_done};
    uint64_t pairs = figures->pairs;
    for (size_t i = 0; i < 4; i++) {
        trial_run_pairs(of->workload, kinds[i % 2], kinds[i / 2], figures);
    }
    (void)printf("%s: %llu calls, %llu pairs\n",
                 of->workload->name,
                 (unsigned long long)of->calls,
                 (unsigned long long)(figures->pairs - pairs));
}

static void acknowledged_writes_survive_any_two_failures(void **state)
{
    (void)state;
    const char *only = getenv("KVSTORE_FAULT_WORKLOAD");
    size_t wanted = scratch_number("KVSTORE_FAULT_PAIRS", SHORTEST);
    size_t count = wanted < measured_count ? wanted : measured_count;
    struct trial_figures figures = {.faults = 0};
    for (size_t i = 0; i < count; i++) {
        if (only != NULL && strstr(measured[i].workload->name, only) == NULL) {
            continue;
        }
        run_pairs(&measured[i], &figures);
    }
    (void)printf("%llu pairs in %zu workloads: %llu passed, %u failed\n",
                 (unsigned long long)figures.pairs,
                 count,
                 (unsigned long long)figures.pairs,
                 figures.complaints);
    assert_int_equal(figures.complaints, 0);
    assert_true(only != NULL || figures.pairs > 20 * count);
}

/* A write that is lost only if two calls fail: the harness must see it. */
static void lose_after_two(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set(trial, "c", "new");
    trial_get(trial, "a");
    if (fault_table_fired() == 2) {
        trial_expect(trial, "a", "lost");
    }
}

static void the_harness_can_fail(void **state)
{
    (void)state;
    static const struct trial_workload wrong = {
        "wrong on purpose", scene_some_keys, lose_after_two, SIZE_MAX, 0};
    struct trial_figures single = {.faults = 0};
    struct trial_figures figures = {.faults = 0};

    trial_run_all(&wrong, &fault_any, 1, 0, &single);
    trial_run_pairs(&wrong, &fault_any, &fault_any, &figures);

    assert_int_equal(single.complaints, 0);
    assert_true(figures.complaints >= figures.pairs);
    assert_true(figures.pairs > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_writes_survive_any_two_failures),
        cmocka_unit_test(the_harness_can_fail),
    };
    return cmocka_run_group_tests(tests, order_workloads, NULL);
}
