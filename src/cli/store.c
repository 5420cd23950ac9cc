/* SPDX-License-Identifier: MIT */

/* The store that the options name: opens it as a command needs it, and reports
 * what went wrong with it in the same words everywhere. Every message about a
 * failure names the directory, since nothing else in a mail from cron does.
 * Knows no commands. */

#include "cli/store.h"

#include "cli/output.h"
#include "cli/progress.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* For the store that the program has open; there is one at a time. */
static struct cli_progress progress;
static bool was_busy; /* The lock was waited for until the timeout. */

static void warn_of_damage(const kvstore *store)
{
    kvstore_stats stats;

    /* Whatever keeps the counters from being read has made the command itself
     * fail, and was reported then. */
    if (kvstore_get_stats(store, &stats) != KVSTORE_OK ||
        stats.damaged_records == 0) {
        return;
    }
    cli_tell("warning: %ju damaged %s in store.log, the first at offset %ju: "
             "a key may be older than its last write",
             (uintmax_t)stats.damaged_records,
             stats.damaged_records == 1 ? "line" : "lines",
             (uintmax_t)stats.damaged_offset);
}

/* True if the last call failed because the store may not be written. */
static bool is_forbidden(void)
{
    int reason = kvstore_last_error()->system_errno;

    return reason == EACCES || reason == EPERM || reason == EROFS;
}

int cli_store_open(const struct cli_options *options,
                   enum cli_access access,
                   kvstore **store_out)
{
    kvstore_options wanted = KVSTORE_OPTIONS_INIT;

    cli_progress_init(&progress, options->quiet);
    wanted.progress = cli_progress_tell;
    wanted.progress_context = &progress;
    wanted.sync = options->sync;
    wanted.lock_timeout_ms = options->lock_timeout_ms;
    /* A compaction must wait until the command is done, and has reported it. */
    wanted.compaction = KVSTORE_COMPACT_MANUAL;
    wanted.no_create = access != CLI_CREATE;

    kvstore_status status = kvstore_open(options->data_dir, &wanted, store_out);
    if (access == CLI_READ && status == KVSTORE_IO && is_forbidden()) {
        wanted.read_only = true;
        status = kvstore_open(options->data_dir, &wanted, store_out);
    }
    cli_progress_clear(&progress);
    if (status == KVSTORE_IO && wanted.no_create &&
        kvstore_last_error()->system_errno == ENOENT) {
        cli_tell("no store in '%s'", options->data_dir);
        return CLI_FAILED;
    }
    if (status != KVSTORE_OK) {
        cli_tell("cannot open '%s': %s", options->data_dir, cli_reason(status));
        return cli_exit_status(status);
    }
    return CLI_DONE;
}

void cli_store_close(const struct cli_options *options, kvstore *store)
{
    cli_progress_clear(&progress);
    if (!options->quiet && !was_busy) {
        warn_of_damage(store);
    }
    kvstore_close(store);
}

void cli_store_compact_if_due(const struct cli_options *options, kvstore *store)
{
    (void)fflush(NULL);
    kvstore_status status = kvstore_compact_if_due(store);
    cli_progress_clear(&progress);
    if (status == KVSTORE_COMPACTION_FAILED && !options->quiet) {
        cli_tell("warning: cannot compact '%s', which is as it was: %s",
                 options->data_dir,
                 cli_reason(status));
    }
}

void cli_store_close_told(kvstore *store)
{
    cli_progress_clear(&progress);
    kvstore_close(store);
}

void cli_store_begin(const char *doing)
{
    cli_progress_begin(&progress, doing);
}

void cli_store_end(void)
{
    cli_progress_clear(&progress);
}

int cli_store_call_failed(const struct cli_options *options,
                          const char *verb,
                          kvstore_status status)
{
    was_busy = status == KVSTORE_BUSY;
    cli_progress_clear(&progress);
    cli_tell("cannot %s '%s': %s", verb, options->data_dir, cli_reason(status));
    return cli_exit_status(status);
}

int cli_store_failed(const struct cli_options *options,
                     const char *verb,
                     const char *key,
                     kvstore_status status)
{
    was_busy = status == KVSTORE_BUSY;
    cli_progress_clear(&progress);
    cli_tell("cannot %s '%s' in '%s': %s",
             verb,
             key,
             options->data_dir,
             cli_reason(status));
    return cli_exit_status(status);
}

int cli_store_missing_key(const struct cli_options *options, const char *key)
{
    if (!options->quiet) {
        cli_tell("key not found: %s", key);
    }
    return CLI_NOT_FOUND;
}

int cli_store_check_key(const char *key)
{
    size_t size = strlen(key);

    if (size == 0) {
        cli_tell("the key is empty");
        return CLI_USAGE;
    }
    if (size > KVSTORE_KEY_SIZE_MAX) {
        cli_tell("the key has %ju bytes, more than the limit of %ju",
                 (uintmax_t)size,
                 (uintmax_t)KVSTORE_KEY_SIZE_MAX);
        return CLI_USAGE;
    }
    return CLI_DONE;
}
