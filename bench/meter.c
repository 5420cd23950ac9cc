/* SPDX-License-Identifier: MIT */

/* Threads that do one thing again and again, and how long it took each time.
 *
 * A meter with a schedule sleeps until the next repetition is due, and never
 * drops one: when it is late it goes on at once, and each late repetition
 * counts from when it was due. So a stop of one second at 20,000 a second is
 * 20,000 slow ones, as it would be for waiting callers, and not one. */

#include "meter.h"

#include "workload.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#define NANOSECONDS 1000000000u

/* --- The timeline --- */

void bench_timeline_mark(struct bench_timeline *timeline, enum bench_mark mark)
{
    atomic_store(&timeline->marks[mark], bench_nanoseconds());
}

static bool has_passed(const struct bench_timeline *timeline,
                       enum bench_mark mark,
                       uint64_t time)
{
    uint64_t when =
        atomic_load_explicit(&timeline->marks[mark], memory_order_acquire);
    return when != 0 && time >= when;
}

/* The stretch that a time is in; BENCH_STRETCH_COUNT: none. */
static enum bench_stretch stretch_at(const struct bench_timeline *timeline,
                                     uint64_t time)
{
    /* What each mark begins; BENCH_STRETCH_COUNT: no stretch. */
    static const enum bench_stretch begins[BENCH_MARK_COUNT] = {
        [BENCH_ALONE_BEGINS] = BENCH_ALONE,
        [BENCH_COMPACTING_BEGINS] = BENCH_COMPACTING,
        [BENCH_COMPACTING_ENDS] = BENCH_COMPACTING,
        [BENCH_CAUGHT_UP] = BENCH_STRETCH_COUNT,
        [BENCH_ALONE_AGAIN_BEGINS] = BENCH_ALONE,
        [BENCH_ALONE_AGAIN_ENDS] = BENCH_STRETCH_COUNT};
    enum bench_stretch stretch = BENCH_STRETCH_COUNT;
    for (unsigned i = 0; i < BENCH_MARK_COUNT && has_passed(timeline, i, time);
         i++) {
        stretch = begins[i];
    }
    return stretch;
}

/* The same for what lasted from one time to another: by its beginning, except
 * that what began alone and was still going on when the compaction began
 * belongs to the compaction. */
static enum bench_stretch stretch_of(const struct bench_timeline *timeline,
                                     uint64_t from,
                                     uint64_t to)
{
    bool is_caught = !has_passed(timeline, BENCH_COMPACTING_BEGINS, from) &&
                     has_passed(timeline, BENCH_COMPACTING_BEGINS, to);
    return is_caught ? BENCH_COMPACTING : stretch_at(timeline, from);
}

static double seconds_between(const struct bench_timeline *timeline,
                              enum bench_mark begin,
                              enum bench_mark end)
{
    uint64_t before = atomic_load(&timeline->marks[begin]);
    uint64_t after = atomic_load(&timeline->marks[end]);
    return (double)(after - before) / NANOSECONDS;
}

double bench_timeline_seconds(const struct bench_timeline *timeline,
                              enum bench_stretch stretch)
{
    if (stretch == BENCH_COMPACTING) {
        return seconds_between(
            timeline, BENCH_COMPACTING_BEGINS, BENCH_COMPACTING_ENDS);
    }
    return seconds_between(
               timeline, BENCH_ALONE_BEGINS, BENCH_COMPACTING_BEGINS) +
           seconds_between(
               timeline, BENCH_ALONE_AGAIN_BEGINS, BENCH_ALONE_AGAIN_ENDS);
}

/* --- Meters --- */

static void sleep_until(uint64_t time)
{
    const struct timespec when = {.tv_sec = (time_t)(time / NANOSECONDS),
                                  .tv_nsec = (long)(time % NANOSECONDS)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) ==
           EINTR) {
    }
}

static void record(struct bench_meter *meter,
                   uint64_t due,
                   uint64_t begin,
                   uint64_t end)
{
    enum bench_stretch stretch = stretch_of(meter->timeline, due, end);
    if (stretch != BENCH_STRETCH_COUNT) {
        bench_histogram_add(&meter->times[stretch].waits, end - due);
    }
    stretch = stretch_of(meter->timeline, begin, end);
    if (stretch != BENCH_STRETCH_COUNT) {
        bench_histogram_add(&meter->times[stretch].calls, end - begin);
    }
    stretch = stretch_at(meter->timeline, end);
    bool is_rest = stretch == BENCH_COMPACTING &&
                   has_passed(meter->timeline, BENCH_COMPACTING_ENDS, end);
    if (stretch != BENCH_STRETCH_COUNT && !is_rest) {
        meter->times[stretch].done++;
    }
}

static void *run_meter(void *argument)
{
    struct bench_meter *meter = argument;
    /* Otherwise the kernel wakes a thread up to 50 us late, to save power. */
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    uint64_t due = bench_nanoseconds() + meter->phase;
    for (uint64_t i = 0; !atomic_load(&meter->timeline->must_end); i++) {
        if (meter->prepare != NULL) {
            meter->prepare(meter->context, i);
        }
        if (meter->interval > 0 && bench_nanoseconds() < due) {
            sleep_until(due);
        }
        uint64_t begin = bench_nanoseconds();
        if (meter->act != NULL && !meter->act(meter->context, i)) {
            atomic_store(&meter->has_failed, true);
            break;
        }
        uint64_t end = bench_nanoseconds();
        record(meter, meter->interval > 0 ? due : begin, begin, end);
        due += meter->interval;
        bool is_late = meter->interval > 0 && end > due;
        atomic_store(&meter->behind, is_late ? end - due : 0);
        atomic_store(&meter->begun, begin);
    }
    return NULL;
}

bool bench_meter_start(struct bench_meter *meter)
{
    meter->is_running =
        pthread_create(&meter->thread, NULL, run_meter, meter) == 0;
    return meter->is_running || bench_fail("no thread to be had");
}

bool bench_meter_is_past(const struct bench_meter *meter, enum bench_mark mark)
{
    return atomic_load(&meter->behind) <= 2 * meter->interval &&
           has_passed(meter->timeline, mark, atomic_load(&meter->begun));
}

bool bench_meter_join(struct bench_meter *meter)
{
    if (meter->is_running) {
        (void)pthread_join(meter->thread, NULL);
        meter->is_running = false;
    }
    return !atomic_load(&meter->has_failed);
}
