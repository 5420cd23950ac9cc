/* SPDX-License-Identifier: MIT */

/* The sweep over one key's calls.
 *
 * Invariants:
 * 1. A configuration's bits are of open calls only; a call that has ended has
 *    taken effect in all of them.
 * 2. In each configuration all open reads that can take effect at its value
 *    have done so. They change nothing, so this forbids nothing.
 * 3. The uncertain calls that remain are removes, and sets that no call has
 *    read: spares. A spare set serves only a remove that needs one, a spare
 *    remove only a read that does. So they take effect right before that, or
 *    just before they end: anywhere else they might as well not happen. Of
 *    several, the one that ends first is taken, since the others can stand in
 *    for it later. */

#include "linearizability.h"

#include "configuration_set.h"

#include <stdlib.h>
#include <string.h>

#define CONFIGURATIONS_MAX (1u << 20)
#define NO_CALL SIZE_MAX

struct event {
    uint64_t time_ns;
    size_t call;
    bool is_end;
};

/* A value that was read, and the earliest end of a call that read it. */
struct reading {
    uint64_t value;
    uint64_t ended_ns;
};

struct sweep {
    const struct linearizability_call *calls; /* As given. */
    struct linearizability_verdict *verdict;
    uint64_t *ended_ns;             /* Of each call, or earlier. */
    bool *is_spare;                 /* Of each call. */
    size_t at[CONFIGURATION_SLOTS]; /* The call in each slot, or NO_CALL. */
    unsigned calls_end;             /* Slots in use are below this, */
    unsigned spares_end;            /* and those of spares below this. */
    size_t call_count;
    size_t spare_count;
    struct configuration_set now;
    struct configuration_set next;
    struct configuration_set queue;
};

/* --- What calls do --- */

static bool is_read(const struct linearizability_call *call)
{
    return call->kind == LINEARIZABILITY_GET ||
           call->kind == LINEARIZABILITY_REMOVE_ABSENT;
}

static uint64_t read_value(const struct linearizability_call *call)
{
    return call->kind == LINEARIZABILITY_GET ? call->value
                                             : LINEARIZABILITY_ABSENT;
}

/* Returns the open call in a slot, unless it has taken effect; else NULL. */
static const struct linearizability_call *pending(
    const struct sweep *sweep,
    const struct configuration *item,
    unsigned slot)
{
    return sweep->at[slot] == NO_CALL || configuration_has(item->done, slot)
               ? NULL
               : &sweep->calls[sweep->at[slot]];
}

/* Keeps invariant 2. */
static void do_reads(const struct sweep *sweep, struct configuration *item)
{
    for (unsigned slot = 0; slot < sweep->calls_end; slot++) {
        const struct linearizability_call *call = pending(sweep, item, slot);
        if (call != NULL && is_read(call) && read_value(call) == item->value) {
            configuration_put(item->done, slot);
        }
    }
}

static bool awaits_absence(const struct sweep *sweep,
                           const struct configuration *item)
{
    for (unsigned slot = 0; slot < sweep->calls_end; slot++) {
        const struct linearizability_call *call = pending(sweep, item, slot);
        if (call != NULL && is_read(call) &&
            read_value(call) == LINEARIZABILITY_ABSENT) {
            return true;
        }
    }
    return false;
}

/* True if one call ends before another. Calls that end together have an order,
 * too, so that spares without an end are used in the same order everywhere. */
static bool ends_first(const struct sweep *sweep, size_t call, size_t other)
{
    return sweep->ended_ns[call] != sweep->ended_ns[other]
               ? sweep->ended_ns[call] < sweep->ended_ns[other]
               : call < other;
}

/* Returns the slot of the spare of a kind that ends first; CONFIGURATION_SLOTS:
 * there is none. */
static unsigned find_spare(const struct sweep *sweep,
                           const struct configuration *item,
                           enum linearizability_kind kind)
{
    unsigned best = CONFIGURATION_SLOTS;
    for (unsigned slot = CONFIGURATION_CALLS; slot < sweep->spares_end;
         slot++) {
        const struct linearizability_call *call = pending(sweep, item, slot);
        if (call != NULL && call->kind == kind &&
            (best == CONFIGURATION_SLOTS ||
             ends_first(sweep, sweep->at[slot], sweep->at[best]))) {
            best = slot;
        }
    }
    return best;
}

/* Lets the call in a slot take effect, if it can. */
static bool apply(const struct sweep *sweep,
                  struct configuration *item,
                  unsigned slot)
{
    const struct linearizability_call *call = pending(sweep, item, slot);
    if (call == NULL || is_read(call)) {
        return false;
    }
    bool is_absent = item->value == LINEARIZABILITY_ABSENT;
    if (call->kind == LINEARIZABILITY_REMOVE && is_absent) {
        unsigned set = find_spare(sweep, item, LINEARIZABILITY_SET);
        if (set == CONFIGURATION_SLOTS) {
            return false;
        }
        configuration_put(item->done, set);
    }
    item->value = call->kind == LINEARIZABILITY_SET ? call->value
                                                    : LINEARIZABILITY_ABSENT;
    configuration_put(item->done, slot);
    return true;
}

/* Lets a spare take effect, if that matters. */
static bool apply_spare(const struct sweep *sweep,
                        struct configuration *item,
                        unsigned slot)
{
    const struct linearizability_call *call = pending(sweep, item, slot);
    bool is_absent = item->value == LINEARIZABILITY_ABSENT;
    if (call == NULL || is_absent != (call->kind == LINEARIZABILITY_SET)) {
        return false;
    }
    item->value = is_absent ? call->value : LINEARIZABILITY_ABSENT;
    configuration_put(item->done, slot);
    return true;
}

/* --- The sweep --- */

static void file_away(struct sweep *sweep,
                      struct configuration *item,
                      unsigned ending)
{
    if (configuration_has(item->done, ending)) {
        configuration_take(item->done, ending);
        configuration_set_insert(&sweep->next, item);
    } else {
        configuration_set_insert(&sweep->queue, item);
    }
}

static void swap(struct sweep *sweep)
{
    struct configuration_set emptied = sweep->now;
    sweep->now = sweep->next;
    sweep->next = emptied;
}

/* Files all that can come next after a configuration. */
static void expand(struct sweep *sweep,
                   const struct configuration *item,
                   unsigned ending)
{
    struct configuration after = *item;
    for (unsigned slot = 0; slot < sweep->calls_end; slot++) {
        if (apply(sweep, &after, slot)) {
            do_reads(sweep, &after);
            file_away(sweep, &after, ending);
            after = *item;
        }
    }
    if (ending >= CONFIGURATION_CALLS && apply_spare(sweep, &after, ending)) {
        do_reads(sweep, &after);
        file_away(sweep, &after, ending);
        after = *item;
    }
    unsigned spare = awaits_absence(sweep, item)
                         ? find_spare(sweep, item, LINEARIZABILITY_REMOVE)
                         : CONFIGURATION_SLOTS;
    if (spare < CONFIGURATION_SLOTS && apply_spare(sweep, &after, spare)) {
        do_reads(sweep, &after);
        file_away(sweep, &after, ending);
    }
}

/* Keeps the configurations in which the ending call has taken effect, or can
 * before it ends, after others or not; for a spare also those in which it has
 * not, and now never will. False: there are too many. */
static bool settle_end(struct sweep *sweep, unsigned ending)
{
    configuration_set_empty(&sweep->next);
    configuration_set_empty(&sweep->queue);
    for (size_t i = 0; i < sweep->now.count; i++) {
        struct configuration *item = &sweep->now.items[i];
        if (ending >= CONFIGURATION_CALLS &&
            !configuration_has(item->done, ending)) {
            configuration_set_insert(&sweep->next, item);
        }
        file_away(sweep, item, ending);
    }
    for (size_t i = 0; i < sweep->queue.count; i++) {
        struct configuration item = sweep->queue.items[i];
        expand(sweep, &item, ending);
        if (sweep->queue.count > CONFIGURATIONS_MAX) {
            return false;
        }
    }
    swap(sweep);
    if (sweep->now.count > sweep->verdict->configurations_most) {
        sweep->verdict->configurations_most = sweep->now.count;
    }
    return true;
}

/* Takes a slot; CONFIGURATION_SLOTS: there is none. */
static unsigned take_slot(struct sweep *sweep, size_t call)
{
    bool is_spare = sweep->is_spare[call];
    unsigned slot = is_spare ? CONFIGURATION_CALLS : 0;
    unsigned bound = is_spare ? CONFIGURATION_SLOTS : CONFIGURATION_CALLS;
    unsigned *end = is_spare ? &sweep->spares_end : &sweep->calls_end;
    while (slot < *end && sweep->at[slot] != NO_CALL) {
        slot++;
    }
    if (slot == bound) {
        return CONFIGURATION_SLOTS;
    }
    *end += slot == *end ? 1 : 0;
    *(is_spare ? &sweep->spare_count : &sweep->call_count) += 1;
    sweep->at[slot] = call;
    return slot;
}

static void leave_slot(struct sweep *sweep, unsigned slot)
{
    bool is_spare = slot >= CONFIGURATION_CALLS;
    unsigned *end = is_spare ? &sweep->spares_end : &sweep->calls_end;
    *(is_spare ? &sweep->spare_count : &sweep->call_count) -= 1;
    sweep->at[slot] = NO_CALL;
    while (*end > (is_spare ? CONFIGURATION_CALLS : 0) &&
           sweep->at[*end - 1] == NO_CALL) {
        *end -= 1;
    }
}

/* False: the verdict has been found. */
static bool begin(struct sweep *sweep, size_t call)
{
    struct linearizability_verdict *verdict = sweep->verdict;
    if (take_slot(sweep, call) == CONFIGURATION_SLOTS) {
        verdict->answer = LINEARIZABILITY_TOO_WIDE;
        return false;
    }
    if (sweep->call_count + sweep->spare_count > verdict->open_most) {
        verdict->open_most = sweep->call_count + sweep->spare_count;
    }
    if (is_read(&sweep->calls[call])) {
        configuration_set_empty(&sweep->next);
        for (size_t i = 0; i < sweep->now.count; i++) {
            do_reads(sweep, &sweep->now.items[i]);
            configuration_set_insert(&sweep->next, &sweep->now.items[i]);
        }
        swap(sweep);
    }
    return true;
}

/* Each place is taken by every second one of those that pass the place before
 * it. */
static void remember_quiet(struct linearizability_verdict *verdict,
                           uint64_t time_ns,
                           uint64_t value)
{
    unsigned place = 0;
    verdict->quiet_count++;
    while (place + 1 < LINEARIZABILITY_QUIETS &&
           (verdict->quiet_count >> place & 1) == 0) {
        place++;
    }
    verdict->quiets[place] =
        (struct linearizability_quiet){.time_ns = time_ns, .value = value};
}

/* False: the verdict has been found. */
static bool end(struct sweep *sweep, const struct event *event)
{
    struct linearizability_verdict *verdict = sweep->verdict;
    unsigned slot = sweep->is_spare[event->call] ? CONFIGURATION_CALLS : 0;
    while (sweep->at[slot] != event->call) {
        slot++;
    }
    if (!settle_end(sweep, slot)) {
        verdict->answer = LINEARIZABILITY_TOO_WIDE;
        return false;
    }
    if (sweep->now.count == 0) {
        verdict->answer = LINEARIZABILITY_NO;
        verdict->culprit = event->call;
        return false;
    }
    leave_slot(sweep, slot);
    if (sweep->call_count == 0 && sweep->now.count == 1) {
        remember_quiet(verdict, event->time_ns, sweep->now.items[0].value);
    }
    return true;
}

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    if (x->time_ns != y->time_ns) {
        return x->time_ns < y->time_ns ? -1 : 1;
    }
    return (x->is_end ? 1 : 0) - (y->is_end ? 1 : 0);
}

static void run(struct sweep *sweep, const size_t *own, size_t count)
{
    struct event *events = checked_calloc(2 * count, sizeof *events);
    size_t event_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct linearizability_call *call = &sweep->calls[own[i]];
        if (call->is_uncertain && is_read(call)) {
            continue;
        }
        events[event_count++] =
            (struct event){.time_ns = call->begun_ns, .call = own[i]};
        if (sweep->ended_ns[own[i]] != LINEARIZABILITY_NEVER) {
            events[event_count++] =
                (struct event){.time_ns = sweep->ended_ns[own[i]],
                               .call = own[i],
                               .is_end = true};
        }
    }
    qsort(events, event_count, sizeof *events, compare_events);
    bool goes_on = true;
    for (size_t i = 0; i < event_count && goes_on; i++) {
        goes_on = events[i].is_end ? end(sweep, &events[i])
                                   : begin(sweep, events[i].call);
    }
    free(events);
}

/* --- Calls of one key --- */

static int compare_readings(const void *a, const void *b)
{
    const struct reading *x = a;
    const struct reading *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->ended_ns < y->ended_ns ? -1 : x->ended_ns > y->ended_ns ? 1 : 0;
}

/* Returns the first reading of a value, or NULL. */
static const struct reading *find_reading(const struct reading *readings,
                                          size_t count,
                                          uint64_t value)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (readings[middle].value < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && readings[low].value == value ? &readings[low] : NULL;
}

/* An uncertain set whose value was read is certain, and had ended by then; the
 * other uncertain calls are spares. */
static void settle(struct sweep *sweep, const size_t *own, size_t count)
{
    struct reading *readings = checked_calloc(count, sizeof *readings);
    size_t reading_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct linearizability_call *call = &sweep->calls[own[i]];
        if (call->kind == LINEARIZABILITY_GET && !call->is_uncertain) {
            readings[reading_count++] = (struct reading){
                .value = call->value, .ended_ns = call->ended_ns};
        }
    }
    qsort(readings, reading_count, sizeof *readings, compare_readings);
    for (size_t i = 0; i < count; i++) {
        const struct linearizability_call *call = &sweep->calls[own[i]];
        const struct reading *reading = NULL;
        if (call->is_uncertain && call->kind == LINEARIZABILITY_SET) {
            reading = find_reading(readings, reading_count, call->value);
        }
        sweep->is_spare[own[i]] = call->is_uncertain && reading == NULL;
        uint64_t ended_ns = call->ended_ns;
        if (reading != NULL && reading->ended_ns < ended_ns) {
            ended_ns = reading->ended_ns;
        }
        sweep->ended_ns[own[i]] =
            ended_ns > call->begun_ns ? ended_ns : call->begun_ns;
    }
    free(readings);
}

static void check_key(struct sweep *sweep, const size_t *own, size_t count)
{
    const struct configuration first = {.value = LINEARIZABILITY_ABSENT};
    memset(sweep->verdict->quiets, 0, sizeof sweep->verdict->quiets);
    sweep->verdict->quiet_count = 0;
    sweep->calls_end = 0;
    sweep->spares_end = CONFIGURATION_CALLS;
    sweep->call_count = 0;
    sweep->spare_count = 0;
    configuration_set_empty(&sweep->now);
    configuration_set_insert(&sweep->now, &first);
    settle(sweep, own, count);
    run(sweep, own, count);
}

/* A call's key and its place among the calls. */
struct place {
    uint32_t key;
    size_t call;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->call < y->call ? -1 : 1;
}

void linearizability_check(const struct linearizability_call *calls,
                           size_t count,
                           struct linearizability_verdict *verdict_out)
{
    *verdict_out =
        (struct linearizability_verdict){.answer = LINEARIZABILITY_YES};
    struct place *places = checked_calloc(count, sizeof *places);
    size_t *own = checked_calloc(count, sizeof *own);
    struct sweep sweep = {.calls = calls, .verdict = verdict_out};
    sweep.ended_ns = checked_calloc(count, sizeof *sweep.ended_ns);
    sweep.is_spare = checked_calloc(count, sizeof *sweep.is_spare);
    configuration_set_init(&sweep.now, CONFIGURATION_SET_CAPACITY);
    configuration_set_init(&sweep.next, CONFIGURATION_SET_CAPACITY);
    configuration_set_init(&sweep.queue, CONFIGURATION_SET_CAPACITY);
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct place){.key = calls[i].key, .call = i};
    }
    qsort(places, count, sizeof *places, compare_places);

    size_t first = 0;
    while (first < count && verdict_out->answer == LINEARIZABILITY_YES) {
        size_t size = 0;
        while (first + size < count &&
               places[first + size].key == places[first].key) {
            own[size] = places[first + size].call;
            size++;
        }
        check_key(&sweep, own, size);
        first += size;
    }

    configuration_set_release(&sweep.now);
    configuration_set_release(&sweep.next);
    configuration_set_release(&sweep.queue);
    free(sweep.ended_ns);
    free(sweep.is_spare);
    free(places);
    free(own);
}
