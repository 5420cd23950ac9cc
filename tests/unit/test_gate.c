/* SPDX-License-Identifier: MIT */

/* Does os/gate.c do what its header promises? Whether a thread waits is read
 * from the queue, under the gate's mutex. */

#include "os/file.h"
#include "os/gate.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)
#define VISITORS 6

static struct kv_gate gate;
static atomic_int arrivals; /* Let in so far. */

struct visitor {
    struct kv_gate_waiter waiter; /* The first member. */
    int64_t deadline_ns;
    kvstore_status status;
    int arrival;
    atomic_bool is_done;
    pthread_t thread;
};

static int set_up(void **state)
{
    (void)state;
    atomic_store(&arrivals, 0);
    return kv_gate_init(&gate) == KVSTORE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kv_gate_destroy(&gate);
    return 0;
}

#define GATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static unsigned queued(void)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&gate.mutex);
    for (const struct kv_gate_waiter *at = gate.first; at != NULL;
         at = at->next) {
        count++;
    }
    (void)pthread_mutex_unlock(&gate.mutex);
    return count;
}

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    visitor->status =
        kv_gate_enter(&gate, &visitor->waiter, visitor->deadline_ns);
    if (visitor->status == KVSTORE_OK) {
        visitor->arrival = atomic_fetch_add(&arrivals, 1);
        kv_gate_leave(&gate);
    }
    atomic_store(&visitor->is_done, true);
    return NULL;
}

static bool is_queued(const struct kv_gate_waiter *waiter)
{
    (void)pthread_mutex_lock(&gate.mutex);
    const struct kv_gate_waiter *found = gate.first;
    while (found != NULL && found != waiter) {
        found = found->next;
    }
    (void)pthread_mutex_unlock(&gate.mutex);
    return found != NULL;
}

/* Starts a thread, and waits until it is queued or has already run out of
 * time. */
static void send(struct visitor *visitor, bool has_work, int64_t deadline_ns)
{
    *visitor = (struct visitor){.deadline_ns = deadline_ns, .arrival = -1};
    visitor->waiter.has_work = has_work;
    assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
    while (!is_queued(&visitor->waiter) && !atomic_load(&visitor->is_done)) {
        kv_io_sleep_ns(NS_PER_MS / 10);
    }
}

static kvstore_status outcome(struct visitor *visitor)
{
    assert_int_equal(pthread_join(visitor->thread, NULL), 0);
    return visitor->status;
}

static void enter(struct kv_gate_waiter *waiter)
{
    *waiter = (struct kv_gate_waiter){.has_work = false};
    assert_int_equal(kv_gate_enter(&gate, waiter, 0), KVSTORE_OK);
}

static void free_gate_is_entered_at_once(void **state)
{
    (void)state;
    struct kv_gate_waiter waiter;
    for (int i = 0; i < 3; i++) {
        enter(&waiter);
        assert_true(kv_gate_was_taken(&gate));
        assert_null(kv_gate_take_work(&gate));
        kv_gate_leave(&gate);
        assert_false(kv_gate_was_taken(&gate));
    }
}

static void waiting_threads_enter_in_their_order(void **state)
{
    (void)state;
    struct kv_gate_waiter own;
    struct visitor visitors[VISITORS];
    enter(&own);
    for (int i = 0; i < VISITORS; i++) {
        send(&visitors[i], i % 2 == 0, KV_GATE_NO_DEADLINE);
    }

    kv_gate_leave(&gate);

    for (int i = 0; i < VISITORS; i++) {
        assert_int_equal(outcome(&visitors[i]), KVSTORE_OK);
        assert_int_equal(visitors[i].arrival, i);
    }
    assert_false(kv_gate_was_taken(&gate));
}

/* After one thread leaves and before the next one wakes, the gate is taken. */
static void nobody_gets_in_between(void **state)
{
    (void)state;
    struct kv_gate_waiter own;
    struct kv_gate_waiter late = {.has_work = false};
    struct visitor visitor;
    for (int i = 0; i < 100; i++) {
        int arrivals_before = atomic_load(&arrivals);
        enter(&own);
        send(&visitor, false, KV_GATE_NO_DEADLINE);

        kv_gate_leave(&gate);
        kvstore_status status =
            kv_gate_enter(&gate, &late, KV_GATE_NO_DEADLINE);

        assert_int_equal(status, KVSTORE_OK);
        assert_int_equal(atomic_load(&arrivals), arrivals_before + 1);
        kv_gate_leave(&gate);
        assert_int_equal(outcome(&visitor), KVSTORE_OK);
    }
}

/* Of three threads, the one with this number has little time. */
static void try_impatient(int impatient)
{
    struct kv_gate_waiter own;
    struct visitor visitors[3];
    enter(&own);
    for (int i = 0; i < 3; i++) {
        send(&visitors[i],
             true,
             i == impatient ? kv_io_clock_ns() + 300 * NS_PER_MS
                            : KV_GATE_NO_DEADLINE);
    }

    assert_int_equal(outcome(&visitors[impatient]), KVSTORE_BUSY);

    assert_int_equal(queued(), 2);
    kv_gate_leave(&gate);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(outcome(&visitors[(impatient + i) % 3]), KVSTORE_OK);
    }
}

static void who_runs_out_of_time_leaves_the_queue(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        try_impatient(i);
    }
}

static void no_time_is_busy_at_once(void **state)
{
    (void)state;
    struct kv_gate_waiter own;
    struct kv_gate_waiter other = {.has_work = true};
    enter(&own);

    assert_int_equal(kv_gate_enter(&gate, &other, 0), KVSTORE_BUSY);
    assert_int_equal(kv_gate_enter(&gate, &other, kv_io_clock_ns()),
                     KVSTORE_BUSY);

    assert_int_equal(queued(), 0);
    assert_null(kv_gate_take_work(&gate));
    kv_gate_leave(&gate);
}

static void work_is_taken_in_order_past_those_without(void **state)
{
    (void)state;
    struct kv_gate_waiter own;
    struct visitor visitors[5];
    enter(&own);
    for (int i = 0; i < 5; i++) {
        send(&visitors[i], i == 1 || i == 2 || i == 4, KV_GATE_NO_DEADLINE);
    }

    assert_ptr_equal(kv_gate_take_work(&gate), &visitors[1].waiter);
    assert_ptr_equal(kv_gate_take_work(&gate), &visitors[2].waiter);
    assert_ptr_equal(kv_gate_take_work(&gate), &visitors[4].waiter);
    assert_null(kv_gate_take_work(&gate));

    for (int i = 4; i > 0; i--) {
        if (i != 3) {
            kv_gate_serve(&gate, &visitors[i].waiter);
            assert_int_equal(outcome(&visitors[i]), KVSTORE_NOT_FOUND);
        }
    }
    struct visitor last;
    send(&last, true, KV_GATE_NO_DEADLINE); /* After 0 and 3. */
    kv_gate_leave(&gate);
    assert_int_equal(outcome(&visitors[0]), KVSTORE_OK);
    assert_int_equal(outcome(&visitors[3]), KVSTORE_OK);
    assert_int_equal(outcome(&last), KVSTORE_OK);
    assert_int_equal(visitors[0].arrival, 0);
    assert_int_equal(visitors[3].arrival, 1);
    assert_int_equal(last.arrival, 2);
}

static void taken_work_is_waited_for_beyond_the_deadline(void **state)
{
    (void)state;
    struct kv_gate_waiter own;
    struct visitor visitor;
    struct kv_gate_waiter *taken = NULL;
    int64_t deadline_ns = 0;
    enter(&own);
    for (int64_t ms = 100; taken == NULL; ms *= 2) {
        deadline_ns = kv_io_clock_ns() + ms * NS_PER_MS;
        send(&visitor, true, deadline_ns);
        taken = kv_gate_take_work(&gate);
        if (taken == NULL) { /* It had no time left by then. */
            assert_int_equal(outcome(&visitor), KVSTORE_BUSY);
        }
    }
    assert_ptr_equal(taken, &visitor.waiter);
    while (kv_io_clock_ns() < deadline_ns + 50 * NS_PER_MS) {
        kv_io_sleep_ns(10 * NS_PER_MS);
    }

    kv_gate_serve(&gate, &visitor.waiter);

    assert_int_equal(outcome(&visitor), KVSTORE_NOT_FOUND);
    kv_gate_leave(&gate);
}

/* --- Many at once --- */

#define CROWD 8
#define VISITS 3000

static struct {
    int64_t total; /* Changed inside the gate. */
    int inside;
    atomic_int entered;
    atomic_int served;
    atomic_int busy;
} crowd;

static void serve_some(void)
{
    for (int i = 0; i < 3; i++) {
        struct kv_gate_waiter *waiter = kv_gate_take_work(&gate);
        if (waiter != NULL) {
            crowd.total++;
            kv_gate_serve(&gate, waiter);
        }
    }
}

static void *visit_often(void *argument)
{
    unsigned number = *(unsigned *)argument;
    for (unsigned i = 0; i < VISITS; i++) {
        struct kv_gate_waiter waiter = {.has_work = (i + number) % 3 != 0};
        int64_t deadline_ns =
            i % 5 == 0 ? kv_io_clock_ns() + 20000 : KV_GATE_NO_DEADLINE;
        kvstore_status status = kv_gate_enter(&gate, &waiter, deadline_ns);
        if (status == KVSTORE_OK) {
            atomic_fetch_add(&crowd.entered, crowd.inside++ == 0 ? 1 : -1000);
            crowd.total++;
            serve_some();
            crowd.inside--;
            kv_gate_leave(&gate);
        } else {
            atomic_fetch_add(
                status == KVSTORE_BUSY ? &crowd.busy : &crowd.served, 1);
        }
    }
    return NULL;
}

static void in_a_crowd_all_are_done_once(void **state)
{
    (void)state;
    pthread_t threads[CROWD];
    unsigned numbers[CROWD];
    for (unsigned i = 0; i < CROWD; i++) {
        numbers[i] = i;
        assert_int_equal(
            pthread_create(&threads[i], NULL, visit_often, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }

    int done = atomic_load(&crowd.entered) + atomic_load(&crowd.served);
    assert_int_equal(done + atomic_load(&crowd.busy), CROWD * VISITS);
    assert_int_equal(crowd.total, done);
    assert_false(kv_gate_was_taken(&gate));
    assert_int_equal(queued(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(free_gate_is_entered_at_once),
        GATE_TEST(waiting_threads_enter_in_their_order),
        GATE_TEST(nobody_gets_in_between),
        GATE_TEST(who_runs_out_of_time_leaves_the_queue),
        GATE_TEST(no_time_is_busy_at_once),
        GATE_TEST(work_is_taken_in_order_past_those_without),
        GATE_TEST(taken_work_is_waited_for_beyond_the_deadline),
        GATE_TEST(in_a_crowd_all_are_done_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
