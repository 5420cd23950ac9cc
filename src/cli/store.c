/* SPDX-License-Identifier: MIT */

/* The store that the options name: opens it as a command needs it, and reports
 * what went wrong with it in the same words everywhere. Every message about a
 * failure names the directory, since nothing else in a mail from cron does.
 * Knows no commands. */

#include "cli/store.h"

#include "cli/output.h"
#include "cli/progress.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static bool is_link(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

/* The full name of the directory, since ./data means little in a mail from cron.
 * Returns the name as it was given if that cannot be found out. */
static const char *full_name(const char *dir, char *name, size_t size)
{
    const char *rest = strncmp(dir, "./", 2) == 0 ? dir + 2 : dir;

    if (dir[0] == '/' || getcwd(name, size) == NULL) {
        return dir;
    }
    size_t used = strlen(name);
    bool is_root = strcmp(name, "/") == 0;
    if (used + 1 + strlen(rest) >= size) {
        return dir;
    }
    (void)snprintf(name + used, size - used, "%s%s", is_root ? "" : "/", rest);
    return name;
}

static void tell_no_store(const struct cli_options *options)
{
    char name[2 * PATH_MAX];

    if (cli_has(options, CLI_OPTION_QUIET)) {
        return;
    }
    cli_tell("no store in '%s'; -d DIR or KVSTORE_DATA_DIR names another",
             full_name(options->data_dir, name, sizeof(name)));
}

/* Says why the store could not be opened; what the system says of symbolic links
 * helps nobody. */
static void tell_not_opened(const char *dir, kvstore_status status)
{
    int reason = kvstore_last_error()->system_errno;
    char log[PATH_MAX];
    struct stat found;

    (void)snprintf(log, sizeof(log), "%s/store.log", dir);
    if (status != KVSTORE_IO) {
        reason = 0;
    }
    if (reason == ELOOP && is_link(log)) {
        cli_tell(
            "cannot open '%s': its store.log is a symbolic link, and those "
            "are not followed",
            dir);
    } else if ((reason == ELOOP || reason == ENOENT) && is_link(dir)) {
        cli_tell("cannot open '%s': it is a symbolic link that leads nowhere",
                 dir);
    } else if (reason == ENOTDIR && stat(dir, &found) == 0) {
        cli_tell("cannot open '%s': it is not a directory", dir);
    } else {
        cli_tell("cannot open '%s': %s", dir, cli_reason(status));
    }
}

/* Is told what the library has done on its own. */
static void tell_warning(void *context, const char *message)
{
    const struct cli_options *options = context;

    cli_progress_clear(&progress);
    cli_tell("warning: in '%s': %s", options->data_dir, message);
}

/* Returns the status of the library, whose last error says more. */
static kvstore_status open_store(const struct cli_options *options,
                                 enum cli_access access,
                                 kvstore **store_out)
{
    kvstore_options wanted = KVSTORE_OPTIONS_INIT;

    cli_progress_init(&progress,
                      cli_has(options, CLI_OPTION_QUIET),
                      cli_has(options, CLI_OPTION_PROGRESS));
    wanted.progress = cli_progress_tell;
    wanted.progress_context = &progress;
    wanted.warning = tell_warning;
    wanted.warning_context = (void *)options;
    wanted.sync = options->sync;
    wanted.lock_timeout_ms = options->lock_timeout_ms;
    /* A compaction must wait until the command is done, and has reported it. */
    wanted.compaction = KVSTORE_COMPACT_MANUAL;
    wanted.no_create =
        access != CLI_CREATE || cli_has(options, CLI_OPTION_NO_CREATE);

    kvstore_status status = kvstore_open(options->data_dir, &wanted, store_out);
    if (access == CLI_READ && status == KVSTORE_IO && is_forbidden()) {
        wanted.read_only = true;
        status = kvstore_open(options->data_dir, &wanted, store_out);
    }
    cli_progress_clear(&progress);
    return status;
}

/* True if the store could not be opened since there is none. */
static bool is_absent(const struct cli_options *options,
                      enum cli_access access,
                      kvstore_status status)
{
    return status == KVSTORE_IO &&
           kvstore_last_error()->system_errno == ENOENT &&
           (access != CLI_CREATE || cli_has(options, CLI_OPTION_NO_CREATE));
}

int cli_store_open(const struct cli_options *options,
                   enum cli_access access,
                   kvstore **store_out)
{
    kvstore_status status = open_store(options, access, store_out);

    if (is_absent(options, access, status)) {
        tell_no_store(options);
        return CLI_FAILED;
    }
    if (status != KVSTORE_OK) {
        tell_not_opened(options->data_dir, status);
        return cli_exit_status(status);
    }
    return CLI_DONE;
}

int cli_store_open_if_there(const struct cli_options *options,
                            enum cli_access access,
                            kvstore **store_out)
{
    kvstore_status status = open_store(options, access, store_out);

    if (status == KVSTORE_OK || is_absent(options, access, status)) {
        return CLI_DONE;
    }
    tell_not_opened(options->data_dir, status);
    return cli_exit_status(status);
}

int cli_store_open_for_present(const struct cli_options *options,
                               kvstore **store_out)
{
    int result = cli_store_open_if_there(options, CLI_CHANGE, store_out);

    if (result == CLI_DONE && *store_out == NULL) {
        if (!cli_has(options, CLI_OPTION_NO_CREATE)) {
            return CLI_CONFLICT;
        }
        tell_no_store(options);
        return CLI_FAILED;
    }
    return result;
}

void cli_store_compact_if_due(const struct cli_options *options, kvstore *store)
{
    cli_flush();
    kvstore_status status = kvstore_compact_if_due(store);
    cli_progress_clear(&progress);
    if (status == KVSTORE_COMPACTION_FAILED) {
        cli_tell("warning: cannot compact '%s', which is as it was: %s",
                 options->data_dir,
                 cli_reason(status));
    }
}

void cli_store_close(kvstore *store)
{
    cli_progress_clear(&progress);
    if (store != NULL && !was_busy) {
        warn_of_damage(store);
    }
    kvstore_close(store);
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

void cli_store_tell(uint64_t done, uint64_t total)
{
    cli_progress_tell(&progress, done, total);
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

int cli_store_key_failed(const struct cli_options *options,
                         const char *verb,
                         const void *key,
                         size_t key_size,
                         kvstore_status status)
{
    char text[KVSTORE_KEY_SIZE_MAX + 1];

    /* A NUL in the key ends what is shown of it. */
    memcpy(text, key, key_size);
    text[key_size] = '\0';
    return cli_store_failed(options, verb, text, status);
}

int cli_store_missing_key(const struct cli_options *options, const char *key)
{
    if (cli_has(options, CLI_OPTION_QUIET)) {
        return CLI_NOT_FOUND;
    }
    cli_tell("key not found: %s%s",
             key,
             cli_options_is_like_one(options, key)
                 ? " (options go in front of KEY)"
                 : "");
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

int cli_store_check_keys(int count, char **keys)
{
    int result = CLI_DONE;

    for (int i = 0; i < count && result == CLI_DONE; i++) {
        result = cli_store_check_key(keys[i]);
    }
    return result;
}
