/* SPDX-License-Identifier: MIT */

/* Checks the checker of histories: it accepts what a register did, rejects what
 * none can have done, and agrees on small histories with a checker that tries
 * all orders. */

#include "all_orders.h"
#include "linearizability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NEVER LINEARIZABILITY_NEVER
#define ABSENT LINEARIZABILITY_ABSENT

static uint64_t random_state;

/* Xorshift (Marsaglia, 2003). Returns a number below a bound. */
static size_t random_below(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)((random_state >> 11) % bound);
}

/* --- Histories by hand: beginning, end, value --- */

#define SET(begun, ended, written) \
    { \
        .kind = LINEARIZABILITY_SET, .begun_ns = (begun), .ended_ns = (ended), \
        .value = (written) \
    }
#define GET(begun, ended, read) \
    { \
        .kind = LINEARIZABILITY_GET, .begun_ns = (begun), .ended_ns = (ended), \
        .value = (read) \
    }
#define REMOVE(begun, ended) \
    { \
        .kind = LINEARIZABILITY_REMOVE, .begun_ns = (begun), \
        .ended_ns = (ended) \
    }
#define REMOVE_ABSENT(begun, ended) \
    { \
        .kind = LINEARIZABILITY_REMOVE_ABSENT, .begun_ns = (begun), \
        .ended_ns = (ended) \
    }
/* The caller died; what it did, it did before the end. */
#define KILLED_SET(begun, ended, written) \
    { \
        .kind = LINEARIZABILITY_SET, .begun_ns = (begun), .ended_ns = (ended), \
        .value = (written), .is_uncertain = true \
    }
#define KILLED_REMOVE(begun, ended) \
    { \
        .kind = LINEARIZABILITY_REMOVE, .begun_ns = (begun), \
        .ended_ns = (ended), .is_uncertain = true \
    }

static enum linearizability_answer answer_of(
    const struct linearizability_call *calls,
    size_t count)
{
    struct linearizability_verdict verdict;
    linearizability_check(calls, count, &verdict);
    return verdict.answer;
}

#define ANSWER(...) \
    answer_of((const struct linearizability_call[]){__VA_ARGS__}, \
              sizeof((const struct linearizability_call[]){__VA_ARGS__}) / \
                  sizeof(struct linearizability_call))
#define ASSERT_RIGHT(...) \
    assert_int_equal(ANSWER(__VA_ARGS__), LINEARIZABILITY_YES)
#define ASSERT_WRONG(...) \
    assert_int_equal(ANSWER(__VA_ARGS__), LINEARIZABILITY_NO)

static void calls_in_turn_are_right(void **state)
{
    (void)state;
    ASSERT_RIGHT(GET(1, 2, ABSENT),
                 SET(3, 4, 7),
                 GET(5, 6, 7),
                 REMOVE(7, 8),
                 GET(9, 10, ABSENT),
                 REMOVE_ABSENT(11, 12),
                 SET(13, 14, 8),
                 SET(15, 16, 9),
                 GET(17, 18, 9));
}

static void no_calls_are_right(void **state)
{
    (void)state;
    assert_int_equal(answer_of(NULL, 0), LINEARIZABILITY_YES);
}

static void stale_read_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(SET(1, 2, 7), SET(3, 4, 8), GET(5, 6, 7));
    ASSERT_RIGHT(SET(1, 2, 7), SET(3, 5, 8), GET(5, 6, 7));
}

static void lost_update_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(SET(1, 2, 7), GET(3, 4, ABSENT));
    ASSERT_WRONG(SET(1, 2, 7), REMOVE_ABSENT(3, 4));
    ASSERT_WRONG(SET(1, 5, 7), SET(2, 6, 8), GET(7, 8, 7), GET(9, 10, ABSENT));
}

static void read_from_the_future_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(GET(1, 2, 7), SET(3, 4, 7));
    ASSERT_RIGHT(GET(1, 3, 7), SET(3, 4, 7));
}

static void resurrected_key_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(SET(1, 2, 7), REMOVE(3, 4), GET(5, 6, 7));
    ASSERT_WRONG(SET(1, 2, 7), REMOVE(3, 8), GET(4, 5, ABSENT), GET(6, 7, 7));
    ASSERT_RIGHT(SET(1, 2, 7), REMOVE(3, 8), GET(4, 5, 7), GET(6, 7, ABSENT));
}

static void value_out_of_thin_air_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(SET(1, 9, 7), GET(2, 3, 99));
}

static void reads_in_the_wrong_order_are_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(SET(1, 2, 7), SET(3, 10, 8), GET(4, 5, 8), GET(6, 7, 7));
    ASSERT_RIGHT(SET(1, 2, 7), SET(3, 10, 8), GET(4, 6, 8), GET(6, 7, 7));
    /* Each reader by itself is right; together they are not. */
    ASSERT_WRONG(
        SET(1, 20, 7), SET(1, 20, 8), GET(2, 3, 7), GET(4, 5, 8), GET(6, 7, 7));
}

static void remove_of_an_absent_key_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(REMOVE(1, 2));
    ASSERT_WRONG(SET(1, 2, 7), REMOVE(3, 6), REMOVE(4, 5));
    ASSERT_RIGHT(SET(1, 5, 7), REMOVE(3, 6));
}

static void remove_serves_once(void **state)
{
    (void)state;
    ASSERT_WRONG(SET(1, 2, 7),
                 REMOVE(3, 20),
                 GET(4, 5, ABSENT),
                 SET(6, 7, 8),
                 GET(8, 9, 8),
                 GET(10, 11, ABSENT));
}

static void killed_set_may_appear_late(void **state)
{
    (void)state;
    ASSERT_RIGHT(KILLED_SET(1, NEVER, 7), GET(5, 6, ABSENT), GET(7, 8, 7));
    ASSERT_RIGHT(KILLED_SET(1, NEVER, 7),
                 SET(2, 3, 8),
                 GET(5, 6, 8),
                 GET(7, 8, 7),
                 GET(9, 10, 7));
    ASSERT_RIGHT(KILLED_SET(1, NEVER, 7), GET(5, 6, ABSENT));
}

static void killed_set_that_vanishes_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(KILLED_SET(1, NEVER, 7), GET(5, 6, 7), GET(7, 8, ABSENT));
    ASSERT_WRONG(
        SET(1, 2, 8), KILLED_SET(3, NEVER, 7), GET(5, 6, 7), GET(7, 8, 8));
}

static void killed_set_that_appears_twice_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(KILLED_SET(1, NEVER, 7),
                 GET(3, 4, 7),
                 SET(5, 6, 8),
                 GET(7, 8, 8),
                 GET(9, 10, 7));
}

static void killed_set_that_appears_too_late_is_wrong(void **state)
{
    (void)state;
    ASSERT_WRONG(KILLED_SET(1, 4, 7), GET(5, 6, ABSENT), GET(7, 8, 7));
    ASSERT_RIGHT(KILLED_SET(1, 5, 7), GET(5, 6, ABSENT), GET(7, 8, 7));
}

static void killed_set_may_be_what_was_removed(void **state)
{
    (void)state;
    ASSERT_RIGHT(KILLED_SET(1, NEVER, 7), GET(2, 3, ABSENT), REMOVE(4, 5));
    ASSERT_WRONG(KILLED_SET(1, NEVER, 7), REMOVE(4, 5), REMOVE(6, 7));
    ASSERT_WRONG(KILLED_SET(1, 3, 7), GET(4, 5, ABSENT), REMOVE(6, 7));
    ASSERT_RIGHT(
        KILLED_SET(1, 9, 7), KILLED_SET(1, 4, 8), REMOVE(2, 5), REMOVE(6, 7));
}

static void killed_remove_happens_once_or_never(void **state)
{
    (void)state;
    ASSERT_RIGHT(SET(1, 2, 7), KILLED_REMOVE(3, NEVER), GET(5, 6, 7));
    ASSERT_RIGHT(
        SET(1, 2, 7), KILLED_REMOVE(3, NEVER), GET(5, 6, 7), GET(7, 8, ABSENT));
    ASSERT_WRONG(
        SET(1, 2, 7), KILLED_REMOVE(3, NEVER), GET(5, 6, ABSENT), GET(7, 8, 7));
    ASSERT_WRONG(SET(1, 2, 7),
                 KILLED_REMOVE(3, NEVER),
                 REMOVE_ABSENT(5, 6),
                 SET(7, 8, 8),
                 GET(9, 10, ABSENT));
}

static void killed_calls_may_serve_each_other(void **state)
{
    (void)state;
    ASSERT_RIGHT(SET(1, 2, 7),
                 KILLED_REMOVE(3, NEVER),
                 GET(4, 20, ABSENT),
                 KILLED_SET(5, 10, 8),
                 REMOVE(30, 31));
    ASSERT_WRONG(SET(1, 2, 7),
                 KILLED_REMOVE(3, NEVER),
                 GET(11, 20, ABSENT),
                 KILLED_SET(5, 10, 8),
                 REMOVE(30, 31));
}

static void keys_are_told_apart(void **state)
{
    (void)state;
    struct linearizability_call calls[] = {
        SET(1, 2, 7), GET(3, 4, 7), GET(3, 4, ABSENT)};
    calls[2].key = 1;
    assert_int_equal(answer_of(calls, 3), LINEARIZABILITY_YES);
    calls[1].key = 1;
    assert_int_equal(answer_of(calls, 3), LINEARIZABILITY_NO);
}

static void too_many_open_calls_are_told(void **state)
{
    (void)state;
    struct linearizability_call calls[300];
    for (uint64_t i = 0; i < 300; i++) {
        calls[i] = (struct linearizability_call)SET(1, 2, i + 1);
    }
    assert_int_equal(answer_of(calls, 300), LINEARIZABILITY_TOO_WIDE);
}

static void explanation_is_small(void **state)
{
    (void)state;
    const struct linearizability_call calls[] = {SET(1, 2, 11),
                                                 SET(3, 4, 12),
                                                 SET(5, 60, 13),
                                                 GET(6, 9, 12),
                                                 GET(10, 20, 13),
                                                 GET(11, 21, 13),
                                                 GET(30, 40, 12)};
    struct linearizability_verdict verdict;
    char *text = NULL;
    size_t size = 0;
    linearizability_check(calls, 7, &verdict);
    assert_int_equal(verdict.answer, LINEARIZABILITY_NO);
    assert_int_equal(verdict.culprit, 6);
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    linearizability_explain(stream, calls, 7, &verdict);
    (void)fclose(stream);
    assert_non_null(strstr(text, "it was 12"));
    assert_non_null(strstr(text, "get -> 12  <-- cannot be"));
    /* Only one of the reads of 13 is needed. */
    const char *first = strstr(text, "get -> 13");
    assert_non_null(first);
    assert_null(strstr(first + 1, "get -> 13"));
    assert_null(strstr(text, "11"));
    free(text);
}

/* --- Against all orders --- */

/* Makes any call whatever, on few values and instants. */
static struct linearizability_call any_call(uint64_t number)
{
    uint64_t begun_ns = 1 + random_below(12);
    struct linearizability_call call = {
        .kind = (enum linearizability_kind)random_below(4),
        .begun_ns = begun_ns,
        .ended_ns = begun_ns + random_below(8),
        .value = number + 1,
        .client = (uint32_t)number};
    if (call.kind == LINEARIZABILITY_GET) {
        call.value = random_below(7);
    }
    if (random_below(4) == 0) {
        call.is_uncertain = true;
        if (random_below(2) == 0) {
            call.ended_ns = NEVER;
        }
    }
    return call;
}

static void agrees_with_all_orders_on_any_history(void **state)
{
    (void)state;
    unsigned right = 0;
    random_state = 88172645463325252u;
    for (unsigned i = 0; i < 60000; i++) {
        struct linearizability_call calls[6];
        size_t count = 2 + random_below(5);
        for (size_t j = 0; j < count; j++) {
            calls[j] = any_call(j);
        }
        bool is_right = all_orders_has_one(calls, count);
        assert_int_equal(answer_of(calls, count),
                         is_right ? LINEARIZABILITY_YES : LINEARIZABILITY_NO);
        right += is_right ? 1 : 0;
    }
    assert_true(right > 6000);
    assert_true(right < 54000);
}

/* --- Histories that happened --- */

/* Lets a register take calls one by one, at instants 10 apart; each call begins
 * before its instant and ends after it. So as many are open at a time as the
 * width says. Some of the callers die, half of them before it happened. */
static void let_happen(struct linearizability_call *calls,
                       size_t count,
                       size_t keys,
                       size_t width)
{
    uint64_t values[64] = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t now_ns = 10 * width + 10 * i;
        uint64_t key = random_below(keys);
        uint64_t dice = random_below(10);
        bool dies = random_below(50) == 0;
        bool happens = !dies || random_below(2) == 0;
        calls[i] = (struct linearizability_call){
            .begun_ns = now_ns - random_below(5 * width),
            .ended_ns = now_ns + random_below(5 * width),
            .key = (uint32_t)key,
            .client = (uint32_t)(i % width),
            .kind = dice < 4                ? LINEARIZABILITY_SET
                    : dice < 9              ? LINEARIZABILITY_GET
                    : values[key] == ABSENT ? LINEARIZABILITY_REMOVE_ABSENT
                                            : LINEARIZABILITY_REMOVE,
            .value = dice < 4 ? i + 1 : values[key],
            .is_uncertain = dies};
        if (dies && count < 1000 && random_below(4) == 0) {
            calls[i].ended_ns = NEVER;
        }
        if (happens && dice < 4) {
            values[key] = i + 1;
        } else if (happens && dice == 9) {
            values[key] = ABSENT;
        }
    }
}

static void what_happened_is_right(void **state)
{
    (void)state;
    struct linearizability_call calls[200];
    random_state = 2463534242u;
    for (unsigned i = 0; i < 5000; i++) {
        size_t count = 1 + random_below(200);
        let_happen(calls, count, 1 + random_below(4), 1 + random_below(12));
        assert_int_equal(answer_of(calls, count), LINEARIZABILITY_YES);
    }
}

/* Lets one call read what was there some writes earlier or later. */
static bool change_one_read(struct linearizability_call *calls, size_t count)
{
    size_t changed = random_below(count);
    size_t other = random_below(count);
    bool is_change = calls[changed].kind == LINEARIZABILITY_GET &&
                     !calls[changed].is_uncertain &&
                     calls[other].kind == LINEARIZABILITY_SET &&
                     calls[other].value != calls[changed].value;
    if (is_change) {
        calls[changed].value = calls[other].value;
    }
    return is_change;
}

static void changed_histories_are_mostly_wrong(void **state)
{
    (void)state;
    struct linearizability_call calls[40];
    unsigned changed = 0;
    unsigned wrong = 0;
    random_state = 362436069u;
    while (changed < 5000) {
        let_happen(calls, 40, 1, 1 + random_below(6));
        if (change_one_read(calls, 40)) {
            changed++;
            wrong += answer_of(calls, 40) == LINEARIZABILITY_NO ? 1 : 0;
        }
    }
    (void)printf("%u of %u are wrong\n", wrong, changed);
    assert_true(wrong > changed * 9 / 10);
}

static void agrees_with_all_orders_on_changed_histories(void **state)
{
    (void)state;
    struct linearizability_call calls[6];
    unsigned right = 0;
    random_state = 521288629u;
    for (unsigned i = 0; i < 20000; i++) {
        size_t count = 3 + random_below(4);
        let_happen(calls, count, 1, 1 + random_below(6));
        (void)change_one_read(calls, count);
        bool is_right = all_orders_has_one(calls, count);
        assert_int_equal(answer_of(calls, count),
                         is_right ? LINEARIZABILITY_YES : LINEARIZABILITY_NO);
        right += is_right ? 1 : 0;
    }
    assert_true(right < 20000);
}

static void million_calls_are_checked_in_time(void **state)
{
    (void)state;
    size_t count = 1000000;
    struct linearizability_verdict verdict;
    struct linearizability_call *calls = calloc(count, sizeof *calls);
    assert_non_null(calls);
    random_state = 123456789u;
    let_happen(calls, count, 8, 48);
    clock_t begun = clock();
    linearizability_check(calls, count, &verdict);
    (void)printf("%.2f s, %zu open, %zu configurations\n",
                 (double)(clock() - begun) / CLOCKS_PER_SEC,
                 verdict.open_most,
                 verdict.configurations_most);
    assert_int_equal(verdict.answer, LINEARIZABILITY_YES);
    free(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_in_turn_are_right),
        cmocka_unit_test(no_calls_are_right),
        cmocka_unit_test(stale_read_is_wrong),
        cmocka_unit_test(lost_update_is_wrong),
        cmocka_unit_test(read_from_the_future_is_wrong),
        cmocka_unit_test(resurrected_key_is_wrong),
        cmocka_unit_test(value_out_of_thin_air_is_wrong),
        cmocka_unit_test(reads_in_the_wrong_order_are_wrong),
        cmocka_unit_test(remove_of_an_absent_key_is_wrong),
        cmocka_unit_test(remove_serves_once),
        cmocka_unit_test(killed_set_may_appear_late),
        cmocka_unit_test(killed_set_that_vanishes_is_wrong),
        cmocka_unit_test(killed_set_that_appears_twice_is_wrong),
        cmocka_unit_test(killed_set_that_appears_too_late_is_wrong),
        cmocka_unit_test(killed_set_may_be_what_was_removed),
        cmocka_unit_test(killed_remove_happens_once_or_never),
        cmocka_unit_test(killed_calls_may_serve_each_other),
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(too_many_open_calls_are_told),
        cmocka_unit_test(explanation_is_small),
        cmocka_unit_test(agrees_with_all_orders_on_any_history),
        cmocka_unit_test(what_happened_is_right),
        cmocka_unit_test(changed_histories_are_mostly_wrong),
        cmocka_unit_test(agrees_with_all_orders_on_changed_histories),
        cmocka_unit_test(million_calls_are_checked_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
