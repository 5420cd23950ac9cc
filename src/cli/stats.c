/* SPDX-License-Identifier: MIT */

/* kvstore stats: prints the counters of a store, and says in words whether a
 * compaction is due. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct counter {
    const char *name; /* As kvstore_stats has it. */
    uint64_t value;   /* UINT64_MAX: none. */
};

#define COUNTERS 15

static void list_counters(const kvstore_stats *stats,
                          struct counter counters[COUNTERS])
{
    const struct counter all[COUNTERS] = {
        {"keys", stats->keys},
        {"live_bytes", stats->live_bytes},
        {"stale_bytes", stats->stale_bytes},
        {"tombstone_bytes", stats->tombstone_bytes},
        {"blank_bytes", stats->blank_bytes},
        {"damaged_bytes", stats->damaged_bytes},
        {"damaged_records", stats->damaged_records},
        {"damaged_offset", stats->damaged_offset},
        {"unknown_records", stats->unknown_records},
        {"expiring_keys", stats->expiring_keys},
        {"expiring_bytes", stats->expiring_bytes},
        {"log_bytes", stats->log_bytes},
        {"index_bytes", stats->index_bytes},
        {"compactions", stats->compactions},
        {"slow_open", stats->slow_open},
    };

    memcpy(counters, all, sizeof all);
}

/* The stale bytes that a compaction would drop. */
static uint64_t removable_bytes(const kvstore_stats *stats)
{
    return stats->damaged_records == 0
               ? stats->stale_bytes
               : stats->stale_bytes - stats->tombstone_bytes;
}

static bool is_due(const kvstore_stats *stats)
{
    return stats->compaction_due != 0;
}

/* True if that much is stale that a compaction is due unless one has failed. */
static bool is_half_stale(const kvstore_stats *stats)
{
    uint64_t removable = removable_bytes(stats);

    return removable >= KVSTORE_COMPACTION_THRESHOLD &&
           removable * 100 >= stats->log_bytes * KVSTORE_COMPACTION_PERCENT;
}

/* How the stale bytes compare with what makes a compaction due. */
static void compare(const kvstore_stats *stats, char *text, size_t size)
{
    uint64_t removable = removable_bytes(stats);
    double percent = stats->log_bytes == 0
                         ? 0.0
                         : 100.0 * (double)removable / (double)stats->log_bytes;
    const char *kept = removable == stats->stale_bytes
                           ? ""
                           : ", removes that damage keeps not counted";

    if (removable < KVSTORE_COMPACTION_THRESHOLD) {
        (void)snprintf(text,
                       size,
                       "%" PRIu64 " stale bytes, fewer than %u%s",
                       removable,
                       KVSTORE_COMPACTION_THRESHOLD,
                       kept);
    } else {
        (void)snprintf(text,
                       size,
                       "%" PRIu64
                       " stale bytes are %.1f %% of the log, %s %u%s",
                       removable,
                       percent,
                       is_half_stale(stats) ? "at least" : "less than",
                       KVSTORE_COMPACTION_PERCENT,
                       kept);
    }
}

/* Why a compaction is due, or is not. */
static void explain(const kvstore_stats *stats, char *text, size_t size)
{
    char stale[120];

    compare(stats, stale, sizeof stale);
    if (stats->unknown_records > 0) {
        (void)snprintf(
            text, size, "not possible: a newer version wrote store.log");
    } else if (is_due(stats) == is_half_stale(stats)) {
        (void)snprintf(
            text, size, "%s: %s", is_due(stats) ? "due" : "not due", stale);
    } else if (is_due(stats)) {
        (void)snprintf(text,
                       size,
                       "due: half of the log is stale or may expire, and it "
                       "has doubled; %s",
                       stale);
    } else {
        (void)snprintf(
            text, size, "not due: the last one has failed; %s", stale);
    }
}

static int print_text(const kvstore_stats *stats)
{
    struct counter counters[COUNTERS];
    char why[240];

    list_counters(stats, counters);
    for (int i = 0; i < COUNTERS; i++) {
        if (counters[i].value == UINT64_MAX) {
            cli_print("%s none\n", counters[i].name);
        } else {
            cli_print("%s %" PRIu64 "\n", counters[i].name, counters[i].value);
        }
    }
    explain(stats, why, sizeof why);
    cli_print("compaction_due %s\n", is_due(stats) ? "true" : "false");
    cli_print("compaction %s\n", why);
    return CLI_DONE;
}

static cJSON *make_json(const kvstore_stats *stats)
{
    struct counter counters[COUNTERS];
    char why[240];
    cJSON *object = cJSON_CreateObject();
    bool is_whole = object != NULL;

    list_counters(stats, counters);
    for (int i = 0; is_whole && i < COUNTERS; i++) {
        const struct counter *counter = &counters[i];
        is_whole =
            (counter->value == UINT64_MAX
                 ? cJSON_AddNullToObject(object, counter->name)
                 : cJSON_AddNumberToObject(
                       object, counter->name, (double)counter->value)) != NULL;
    }
    explain(stats, why, sizeof why);
    if (!is_whole ||
        cJSON_AddBoolToObject(object, "compaction_due", is_due(stats)) ==
            NULL ||
        cJSON_AddStringToObject(object, "compaction", why) == NULL) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static int print_json(const kvstore_stats *stats)
{
    cJSON *object = make_json(stats);
    char *line = object == NULL ? NULL : cJSON_PrintUnformatted(object);
    int result = CLI_DONE;

    if (line == NULL) {
        cli_tell("out of memory");
        result = CLI_FAILED;
    } else {
        cli_print("%s\n", line);
    }
    cJSON_free(line);
    cJSON_Delete(object);
    return result;
}

int cli_command_stats(const struct cli_options *options,
                      int count,
                      char **operands)
{
    kvstore *store = NULL;
    kvstore_stats stats;

    (void)count;
    (void)operands;
    int result = cli_store_open(options, CLI_READ, &store);
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status = kvstore_get_stats(store, &stats);
    if (status != KVSTORE_OK) {
        result = cli_store_call_failed(options, "read the counters of", status);
    } else {
        result = cli_has(options, CLI_OPTION_JSON) ? print_json(&stats)
                                                   : print_text(&stats);
    }
    cli_store_close(store);
    return result;
}
