/* SPDX-License-Identifier: MIT */

/* kvstore watch: prints changes as they come, each line as soon as it is
 * there. */

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* How often it looks whether anybody still reads. */
#define LOOK_EVERY_MS 500

struct watch {
    const struct cli_options *options;
    kvstore_watcher *watcher;
    struct cli_format format;
    uint64_t left;     /* How many sets and removes to print. */
    bool may_be_reset; /* The first one, which was asked for. */
    int result;
};

static bool print(struct watch *watch, const struct cli_entry *entry)
{
    int result = cli_format_print(&watch->format, entry);

    watch->result = cli_worse(watch->result, result);
    return !cli_output_has_failed();
}

/* False: it cannot go on. */
static bool print_event(struct watch *watch, const char *event)
{
    const struct cli_entry entry = {.event = event};
    bool is_reset = strcmp(event, "reset") == 0;

    if (watch->format.form != CLI_FORM_RESP) {
        return print(watch, &entry);
    }
    if (is_reset && !watch->may_be_reset) {
        cli_flush();
        cli_tell("changes were missed, which this format cannot say: begin "
                 "anew with an empty store");
        watch->result = CLI_FAILED;
        return false;
    }
    watch->may_be_reset = false;
    return true;
}

static bool print_key(struct watch *watch, const kvstore_change *change)
{
    const kvstore_entry *found = change->entry;
    bool is_set = change->kind == KVSTORE_CHANGE_SET;
    struct cli_entry entry = {.key = found->key, .key_size = found->key_size};

    if (is_set && found->status != KVSTORE_OK) {
        cli_flush();
        watch->result = cli_worse(watch->result,
                                  cli_store_key_failed(watch->options,
                                                       "get",
                                                       found->key,
                                                       found->key_size,
                                                       found->status));
        return true;
    }
    if (watch->format.form != CLI_FORM_RESP) {
        entry.event = is_set ? "set" : "rm";
    }
    if (is_set) {
        entry.value = found->value;
        entry.value_size = found->value_size;
        entry.expires_ms = found->expires_ms;
    }
    watch->left--;
    return print(watch, &entry) && watch->left > 0;
}

/* False: that was the last one. */
static bool print_change(struct watch *watch, const kvstore_change *change)
{
    switch (change->kind) {
    case KVSTORE_CHANGE_RESET:
        return print_event(watch, "reset");
    case KVSTORE_CHANGE_CURRENT:
        return print_event(watch, "current");
    default:
        return print_key(watch, change);
    }
}

/* True as long as somebody reads. A pipe without a reader would only be noticed
 * with the next change. */
static bool is_read(void)
{
    struct pollfd fd = {.fd = STDOUT_FILENO};

    if (poll(&fd, 1, 0) <= 0 || (fd.revents & (POLLERR | POLLNVAL)) == 0) {
        return true;
    }
    /* As a write would do it; where that is ignored, it fails. */
    (void)raise(SIGPIPE);
    cli_tell("cannot write standard output: nobody reads it");
    return false;
}

/* Prints what there is, and what comes. */
static int follow(struct watch *watch)
{
    const kvstore_change *change = NULL;
    bool goes_on = watch->left > 0;

    while (goes_on) {
        kvstore_status status =
            kvstore_watcher_next(watch->watcher, 0, &change);
        if (status == KVSTORE_NOT_FOUND) {
            /* Nothing more at once: so what was printed is due. */
            cli_flush();
            status = cli_output_has_failed()
                         ? KVSTORE_NOT_FOUND
                         : kvstore_watcher_next(
                               watch->watcher, LOOK_EVERY_MS, &change);
        }
        if (status == KVSTORE_OK) {
            goes_on = print_change(watch, change);
        } else if (status != KVSTORE_NOT_FOUND) {
            cli_flush();
            return cli_worse(
                watch->result,
                cli_store_call_failed(watch->options, "watch", status));
        } else if (cli_output_has_failed() || !is_read()) {
            return CLI_FAILED;
        }
    }
    cli_flush();
    return watch->result;
}

static int watch_store(const struct cli_options *options,
                       const kvstore *store,
                       const char *prefix)
{
    bool is_resp = cli_has(options, CLI_OPTION_FORMAT);
    bool is_json = cli_has(options, CLI_OPTION_JSON);
    const kvstore_watch_options wanted = {
        .size = sizeof(wanted),
        .prefix = prefix,
        .prefix_size = strlen(prefix),
        .from_start = cli_has(options, CLI_OPTION_SINCE)};
    struct watch watch = {.options = options,
                          .left = cli_has(options, CLI_OPTION_LIMIT)
                                      ? options->limit
                                      : UINT64_MAX,
                          .may_be_reset = wanted.from_start};

    kvstore_status status =
        kvstore_watcher_create(store, &wanted, &watch.watcher);
    if (status != KVSTORE_OK) {
        return cli_store_call_failed(options, "watch", status);
    }
    watch.format = cli_format_of(is_resp   ? CLI_FORM_RESP
                                 : is_json ? CLI_FORM_JSON
                                           : CLI_FORM_LINE);
    int result = follow(&watch);
    cli_format_release(&watch.format);
    kvstore_watcher_free(watch.watcher);
    return result;
}

int cli_command_watch(const struct cli_options *options,
                      int count,
                      char **operands)
{
    kvstore *store = NULL;

    if (cli_has(options, CLI_OPTION_FORMAT) && options->data != CLI_DATA_RESP) {
        cli_tell("watch: --format is resp, or else lines are printed, or with "
                 "--json objects");
        return cli_usage_read_on(cli_command_find("watch"));
    }
    int result = cli_store_open(options, CLI_READ, &store);
    if (result == CLI_DONE) {
        result = watch_store(options, store, count == 0 ? "" : operands[0]);
        cli_store_close(store);
    }
    return result;
}
