/* SPDX-License-Identifier: MIT */

/* Prints a violation small enough to be read. */

#include "linearizability.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 30   /* Calls, the last ones. */
#define TRIED_MAX 1000 /* With more calls, reads that do not matter stay. */

/* A part of one key's history. The first call stands in for all that was
 * before: it sets the value that the key is known to have had. */
struct part {
    struct linearizability_quiet quiet;
    struct linearizability_call *calls;
    size_t count;
    size_t culprit;
};

static int compare_begins(const void *a, const void *b)
{
    const struct linearizability_call *x = a;
    const struct linearizability_call *y = b;
    return x->begun_ns < y->begun_ns ? -1 : x->begun_ns > y->begun_ns ? 1 : 0;
}

static bool is_culprit(const struct linearizability_call *call,
                       const struct linearizability_call *culprit)
{
    return call->client == culprit->client &&
           call->begun_ns == culprit->begun_ns && call->kind == culprit->kind;
}

/* Returns the calls that were open, or begun, between the quiet time and the
 * end of the culprit. */
static struct part cut_out(const struct linearizability_call *calls,
                           size_t count,
                           const struct linearizability_call *culprit,
                           struct linearizability_quiet quiet)
{
    struct part part = {.quiet = quiet,
                        .calls = calloc(count + 1, sizeof *part.calls)};
    if (part.calls == NULL) {
        return part;
    }
    if (quiet.value != LINEARIZABILITY_ABSENT) {
        part.calls[part.count++] =
            (struct linearizability_call){.kind = LINEARIZABILITY_SET,
                                          .client = UINT32_MAX,
                                          .key = culprit->key,
                                          .value = quiet.value};
    }
    for (size_t i = 0; i < count; i++) {
        if (calls[i].key == culprit->key && calls[i].ended_ns > quiet.time_ns &&
            calls[i].begun_ns <= culprit->ended_ns) {
            part.calls[part.count++] = calls[i];
        }
    }
    qsort(part.calls, part.count, sizeof *part.calls, compare_begins);
    while (part.culprit + 1 < part.count &&
           !is_culprit(&part.calls[part.culprit], culprit)) {
        part.culprit++;
    }
    return part;
}

static bool is_violation(const struct part *part)
{
    struct linearizability_verdict verdict;
    linearizability_check(part->calls, part->count, &verdict);
    return verdict.answer == LINEARIZABILITY_NO;
}

/* A history stays linearizable without one of its reads. So the reads without
 * which it is still a violation are left out. */
static void leave_out_reads(struct part *part)
{
    size_t i = 0;
    while (i < part->count && part->count <= TRIED_MAX) {
        struct linearizability_call call = part->calls[i];
        bool is_read = call.kind == LINEARIZABILITY_GET ||
                       call.kind == LINEARIZABILITY_REMOVE_ABSENT;
        if (!is_read || i == part->culprit) {
            i++;
            continue;
        }
        /* Never begun within the part. */
        part->calls[i].is_uncertain = true;
        if (!is_violation(part)) {
            part->calls[i].is_uncertain = call.is_uncertain;
            i++;
            continue;
        }
        part->count--;
        part->culprit -= i < part->culprit ? 1 : 0;
        for (size_t j = i; j < part->count; j++) {
            part->calls[j] = part->calls[j + 1];
        }
    }
}

static int compare_quiets(const void *a, const void *b)
{
    const struct linearizability_quiet *x = a;
    const struct linearizability_quiet *y = b;
    return x->time_ns > y->time_ns ? -1 : x->time_ns < y->time_ns ? 1 : 0;
}

/* Returns the smallest part from a quiet time on that is a violation in itself.
 * If a call had been open for long, what the quiet time hides may be the
 * reason. */
static struct part find_part(const struct linearizability_call *calls,
                             size_t count,
                             const struct linearizability_verdict *verdict)
{
    struct linearizability_quiet quiets[LINEARIZABILITY_QUIETS + 1] = {0};
    memcpy(quiets, verdict->quiets, sizeof verdict->quiets);
    qsort(quiets, LINEARIZABILITY_QUIETS, sizeof *quiets, compare_quiets);
    for (int i = 0;; i++) {
        struct part part =
            cut_out(calls, count, &calls[verdict->culprit], quiets[i]);
        if (part.calls == NULL || quiets[i].time_ns == 0 ||
            is_violation(&part)) {
            return part;
        }
        free(part.calls);
    }
}

static void print_value(FILE *stream, uint64_t value)
{
    if (value == LINEARIZABILITY_ABSENT) {
        (void)fprintf(stream, "absent");
    } else {
        (void)fprintf(stream, "%" PRIu64, value);
    }
}

static void print_call(FILE *stream,
                       const struct linearizability_call *call,
                       uint64_t end_ns)
{
    const char *names[] = {"set ", "get -> ", "remove", "remove -> absent"};
    (void)fprintf(
        stream, "  %12.3f ", ((double)call->begun_ns - (double)end_ns) / 1000);
    if (call->ended_ns == LINEARIZABILITY_NEVER) {
        (void)fprintf(stream, "%12s", "never");
    } else {
        (void)fprintf(
            stream, "%12.3f", ((double)call->ended_ns - (double)end_ns) / 1000);
    }
    (void)fprintf(
        stream, "  client %2" PRIu32 "  %s", call->client, names[call->kind]);
    if (call->kind == LINEARIZABILITY_SET ||
        call->kind == LINEARIZABILITY_GET) {
        print_value(stream, call->value);
    }
    (void)fprintf(stream, call->is_uncertain ? "  (may have happened)" : "");
}

/* Prints where the value that the culprit read came from. */
static void print_origin(FILE *stream,
                         const struct linearizability_call *calls,
                         size_t count,
                         const struct linearizability_call *culprit)
{
    if (culprit->kind != LINEARIZABILITY_GET ||
        culprit->value == LINEARIZABILITY_ABSENT) {
        return;
    }
    (void)fprintf(stream, "its value was written by\n");
    for (size_t i = 0; i < count; i++) {
        if (calls[i].key == culprit->key &&
            calls[i].kind == LINEARIZABILITY_SET &&
            calls[i].value == culprit->value) {
            print_call(stream, &calls[i], culprit->ended_ns);
            (void)fprintf(stream, "\n");
            return;
        }
    }
    (void)fprintf(stream, "  nobody\n");
}

void linearizability_explain(FILE *stream,
                             const struct linearizability_call *calls,
                             size_t count,
                             const struct linearizability_verdict *verdict)
{
    if (verdict->answer != LINEARIZABILITY_NO) {
        (void)fprintf(stream, "no violation was found\n");
        return;
    }
    const struct linearizability_call *culprit = &calls[verdict->culprit];
    struct part part = find_part(calls, count, verdict);
    if (part.calls == NULL) {
        return;
    }
    leave_out_reads(&part);
    (void)fprintf(
        stream, "key %" PRIu32 " is not linearizable: it was ", culprit->key);
    print_value(stream, part.quiet.value);
    (void)fprintf(stream,
                  " %.3f us before the end of the marked call; then\n",
                  (double)(culprit->ended_ns - part.quiet.time_ns) / 1000);
    for (size_t i = part.count > SHOWN_MAX ? part.count - SHOWN_MAX : 0;
         i < part.count;
         i++) {
        if (part.calls[i].client != UINT32_MAX) {
            print_call(stream, &part.calls[i], culprit->ended_ns);
            (void)fprintf(
                stream, "%s\n", i == part.culprit ? "  <-- cannot be" : "");
        }
    }
    print_origin(stream, calls, count, culprit);
    free(part.calls);
}
