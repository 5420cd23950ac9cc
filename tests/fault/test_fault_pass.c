/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write is there after any one failure. Each
 * workload is run with each kind of failure at its first system call or
 * allocation, at the second, and so on until none is met any more; once, and
 * from there on. KVSTORE_FAULT_ERRNOS=1: all of that in each workload; else EIO
 * and ENOMEM, once, in all of them, and each of the rest in one of a few.
 * KVSTORE_FAULT_WORKLOAD: only those with this in their names. */

#include "fault_scenes.h"
#include "fault_table.h"
#include "fault_trial.h"
#include "fault_workloads.h"
#include "index/table.h"
#include "kvstore.h"
#include "trial_changes.h"
#include "trial_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- The tests --- */

static void print_figures(const char *what,
                          size_t workloads,
                          const struct trial_figures *figures)
{
    (void)printf("%llu %s in %zu workloads: %llu passed, %u failed\n",
                 (unsigned long long)figures->faults,
                 what,
                 workloads,
                 (unsigned long long)figures->faults,
                 figures->complaints);
}

static bool is_wanted(const struct trial_workload *workload)
{
    const char *text = getenv("KVSTORE_FAULT_WORKLOAD");
    return text == NULL || strstr(workload->name, text) != NULL;
}

/* Returns how many were run. Sanitizers have time for some of them only. */
static size_t run_all(const struct trial_workload *workloads,
                      size_t count,
                      struct trial_figures *figures)
{
    bool has_all = scratch_number("KVSTORE_FAULT_ERRNOS", 0) > 0;
    size_t each = scratch_number("KVSTORE_FAULT_EACH", 1);
    size_t run = 0;
    for (size_t i = 0; i < count; i += each) {
        if (is_wanted(&workloads[i])) {
            trial_run_all(&workloads[i],
                          fault_kinds,
                          fault_kind_count,
                          has_all ? 0 : i + 1,
                          figures);
            run++;
        }
    }
    return run;
}

static void acknowledged_writes_survive_any_one_failure(void **state)
{
    (void)state;
    struct trial_figures figures = {.faults = 0};
    const struct kv_table smallest = {.bucket_count = KV_TABLE_BUCKETS_MIN};
    assert_int_equal(kv_table_room(&smallest), SCENE_FULL_KEYS);
    size_t count =
        run_all(fault_workloads, fault_workload_count, &figures) +
        run_all(fault_workloads_more, fault_workload_more_count, &figures) +
        run_all(fault_workloads_keys, fault_workload_keys_count, &figures);
    print_figures("faults", count, &figures);

    assert_true(figures.faults > 100 * count);
    assert_int_equal(figures.complaints, 0);
}

static void lack_of_memory_is_never_taken_for_damage(void **state)
{
    (void)state;
    static const struct fault_kind kind = {"no memory for cJSON",
                                           FAULT_BIT(FAULT_CJSON_MALLOC) |
                                               FAULT_BIT(FAULT_MALLOC),
                                           FAULT_USUAL,
                                           FAULT_NOTHING_DONE,
                                           true,
                                           false};
    struct trial_figures figures = {.faults = 0};

    fault_table_hook_cjson(true);
    for (size_t i = 0; i < fault_workload_foreign_count; i++) {
        trial_run_all(&fault_workloads_foreign[i], &kind, 1, 0, &figures);
    }
    fault_table_hook_cjson(false);
    print_figures("failed allocations", fault_workload_foreign_count, &figures);

    assert_true(figures.faults > 500);
    assert_int_equal(figures.complaints, 0);
}

/* The harness itself must be able to fail: here the oracle expects what never
 * was there. */
static void expect_too_much(struct trial *trial)
{
    scene_some_keys(trial);
    trial_expect(trial, "gone", "still here");
}

static void set(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_set(trial, "c", "new");
}

static void the_harness_can_fail(void **state)
{
    (void)state;
    static const struct trial_workload wrong = {
        "wrong on purpose", expect_too_much, set, SIZE_MAX, 0};
    struct trial_figures figures = {.faults = 0};

    trial_run_all(&wrong, fault_kinds, fault_kind_count, 0, &figures);

    assert_true(figures.complaints > figures.faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_writes_survive_any_one_failure),
        cmocka_unit_test(lack_of_memory_is_never_taken_for_damage),
        cmocka_unit_test(the_harness_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
