/* SPDX-License-Identifier: MIT */

/* One array for all clients, each call in the next free place. The places are
 * taken by an atomic counter; the number of a place is the value that a set in
 * it writes. */

#include "history.h"

#include "configuration_set.h"
#include "scratch.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

uint64_t history_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t size_of(uint64_t capacity)
{
    return sizeof(struct history) +
           (size_t)capacity * sizeof(struct history_record);
}

void *history_shared_memory(size_t size)
{
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || memory == MAP_FAILED) {
        scratch_die("shared memory");
    }
    (void)close(fd);
    return memory;
}

struct history *history_create(uint64_t capacity)
{
    struct history *history = history_shared_memory(size_of(capacity));
    history->capacity = capacity;
    return history;
}

void history_free(struct history *history)
{
    (void)munmap(history, size_of(history->capacity));
}

struct history_record *history_begin(struct history *history,
                                     unsigned client,
                                     uint32_t key,
                                     enum linearizability_kind kind)
{
    uint64_t place = atomic_fetch_add(&history->begun, 1);
    if (place >= history->capacity) {
        return NULL;
    }
    struct history_record *record = &history->records[place];
    record->value = kind == LINEARIZABILITY_SET ? place + 1 : 0;
    record->key = key;
    record->client = (uint16_t)client;
    record->kind = (uint8_t)kind;
    record->begun_ns = history_now_ns();
    /* From here on it counts if the client dies. */
    atomic_store(&history->current[client], place + 1);
    return record;
}

void history_end(struct history *history,
                 struct history_record *record,
                 enum history_outcome outcome,
                 uint64_t value)
{
    uint64_t now_ns = history_now_ns();
    record->outcome = (uint8_t)outcome;
    if (record->kind == LINEARIZABILITY_GET) {
        record->value = value;
    }
    atomic_store(&record->ended_ns, now_ns);
    atomic_store(&history->current[record->client], 0);
}

void history_bury(struct history *history, unsigned client)
{
    uint64_t place = atomic_exchange(&history->current[client], 0);
    if (place != 0) {
        history->records[place - 1].died_ns = history_now_ns();
    }
}

/* --- For the checker --- */

/* An acknowledged write, and the earliest end of those that began no
 * earlier. */
struct write {
    uint64_t begun_ns;
    uint64_t ended_ns;
};

static int compare_writes(const void *a, const void *b)
{
    const struct write *x = a;
    const struct write *y = b;
    return x->begun_ns < y->begun_ns ? -1 : x->begun_ns > y->begun_ns ? 1 : 0;
}

static size_t used_of(const struct history *history)
{
    uint64_t begun = atomic_load(&history->begun);
    return (size_t)(begun < history->capacity ? begun : history->capacity);
}

static struct write *list_writes(const struct history *history,
                                 size_t *count_out)
{
    size_t used = used_of(history);
    size_t count = 0;
    struct write *writes = checked_calloc(used, sizeof *writes);
    for (size_t i = 0; i < used; i++) {
        const struct history_record *record = &history->records[i];
        uint64_t ended_ns = atomic_load(&record->ended_ns);
        if (ended_ns != 0 && record->kind != LINEARIZABILITY_GET &&
            record->outcome == HISTORY_DONE) {
            writes[count++] = (struct write){.begun_ns = record->begun_ns,
                                             .ended_ns = ended_ns};
        }
    }
    qsort(writes, count, sizeof *writes, compare_writes);
    for (size_t i = count; i > 1; i--) {
        if (writes[i - 1].ended_ns < writes[i - 2].ended_ns) {
            writes[i - 2].ended_ns = writes[i - 1].ended_ns;
        }
    }
    *count_out = count;
    return writes;
}

/* Returns the earliest end of a write that began after a time. */
static uint64_t first_end_behind(const struct write *writes,
                                 size_t count,
                                 uint64_t time_ns)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (writes[middle].begun_ns <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count ? writes[low].ended_ns : LINEARIZABILITY_NEVER;
}

/* False: it does not matter to the checker. */
static bool make_call(const struct history_record *record,
                      const struct write *writes,
                      size_t write_count,
                      struct linearizability_call *call_out)
{
    uint64_t ended_ns = atomic_load(&record->ended_ns);
    *call_out = (struct linearizability_call){
        .begun_ns = record->begun_ns,
        .ended_ns = ended_ns,
        .value = record->value,
        .key = record->key,
        .client = record->client,
        .kind = (enum linearizability_kind)record->kind};
    if (ended_ns == 0) {
        call_out->is_uncertain = true;
        call_out->ended_ns =
            first_end_behind(writes, write_count, record->died_ns);
        /* A client that died before the record was whole has made no call. */
        return record->died_ns != 0 && record->kind != LINEARIZABILITY_GET;
    }
    if (record->outcome == HISTORY_UNKNOWN) {
        call_out->is_uncertain = true;
        call_out->ended_ns = LINEARIZABILITY_NEVER;
    }
    if (record->outcome == HISTORY_ABSENT) {
        call_out->value = LINEARIZABILITY_ABSENT;
        call_out->kind = record->kind == LINEARIZABILITY_GET
                             ? LINEARIZABILITY_GET
                             : LINEARIZABILITY_REMOVE_ABSENT;
    }
    return record->outcome != HISTORY_NO_EFFECT;
}

struct linearizability_call *history_calls(const struct history *history,
                                           size_t *count_out)
{
    size_t used = used_of(history);
    size_t count = 0;
    size_t write_count = 0;
    struct linearizability_call *calls = checked_calloc(used, sizeof *calls);
    struct write *writes = list_writes(history, &write_count);
    for (size_t i = 0; i < used; i++) {
        if (make_call(
                &history->records[i], writes, write_count, &calls[count])) {
            count++;
        }
    }
    free(writes);
    *count_out = count;
    return calls;
}
