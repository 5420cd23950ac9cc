/* SPDX-License-Identifier: MIT */

/* kvstore update: changes a value by a command that reads the old one and prints
 * the new one. No lock is held while the command runs: if somebody else was
 * faster, it is run again. */

#include "cli/child.h"
#include "cli/commands.h"
#include "cli/filter.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct updater {
    const struct cli_options *options;
    char **words;
    const char *key;
    struct cli_filtered made; /* What the command printed. */
    int result;               /* Why there is no batch; CLI_DONE also if there
                                 is nothing to change. */
    kvstore_status failed;    /* What the library said of the batch. */
};

/* Says how the command ended, unless it has succeeded. */
static int judge(const struct updater *updater)
{
    const char *name = updater->words[0];
    int status = updater->made.status;

    if (status == -1) {
        cli_tell("cannot learn how '%s' ended, and nothing was changed", name);
        return CLI_FAILED;
    }
    if (WIFSIGNALED(status)) {
        cli_tell("'%s' was ended by signal %ju, and nothing was changed",
                 name,
                 (uintmax_t)WTERMSIG(status));
        return CLI_FAILED;
    }
    if (WEXITSTATUS(status) != 0) {
        cli_tell("'%s' ended with status %ju, and nothing was changed",
                 name,
                 (uintmax_t)WEXITSTATUS(status));
        return CLI_CONFLICT;
    }
    return CLI_DONE;
}

/* Has the command make a value. value is NULL if there is none. */
static int make(struct updater *updater, const void *value, size_t size)
{
    bool is_raw = cli_has(updater->options, CLI_OPTION_RAW);
    struct cli_filtered *made = &updater->made;

    free(made->bytes);
    if (!cli_filter_run(updater->words,
                        value,
                        value == NULL ? 0 : size,
                        value != NULL && !is_raw,
                        made)) {
        return CLI_FAILED;
    }
    int result = judge(updater);
    if (result == CLI_DONE && !is_raw && made->size > 0 &&
        made->bytes[made->size - 1] == '\n') {
        made->size--;
    }
    return result;
}

/* A kvstore_update_fn. */
static bool fill(void *context,
                 const kvstore_entry *current,
                 kvstore_batch *batch)
{
    struct updater *updater = context;
    const struct cli_filtered *made = &updater->made;
    bool is_there = current->status == KVSTORE_OK;
    bool has_expiry = cli_has(updater->options, CLI_OPTION_EXPIRES);

    if (!is_there && cli_has(updater->options, CLI_OPTION_IF_PRESENT)) {
        updater->result = CLI_CONFLICT;
        return false;
    }
    updater->result =
        make(updater, is_there ? current->value : NULL, current->value_size);
    bool is_same = is_there && made->size == current->value_size &&
                   (made->size == 0 ||
                    memcmp(made->bytes, current->value, made->size) == 0);
    if (updater->result != CLI_DONE || (is_same && !has_expiry)) {
        return false;
    }
    updater->failed = kvstore_batch_set(
        batch,
        current->key,
        current->key_size,
        made->bytes,
        made->size,
        has_expiry ? updater->options->expires_ms : KVSTORE_EXPIRES_KEEP);
    return updater->failed == KVSTORE_OK;
}

static int update_there(struct updater *updater, kvstore *store)
{
    kvstore_status status = kvstore_update(
        store, updater->key, strlen(updater->key), fill, updater);

    if (status == KVSTORE_OK) {
        cli_store_compact_if_due(updater->options, store);
        return CLI_DONE;
    }
    if (status != KVSTORE_CONFLICT) {
        return cli_store_failed(
            updater->options, "update", updater->key, status);
    }
    return updater->failed == KVSTORE_OK
               ? updater->result
               : cli_store_failed(
                     updater->options, "update", updater->key, updater->failed);
}

/* Where there is no store, the command is run first: if it fails, none is made.
 * CLI_CONFLICT and true: somebody has made store and key meanwhile. */
static int update_nothing(struct updater *updater, bool *is_late_out)
{
    const kvstore_set_options wanted = {.size = sizeof(wanted),
                                        .condition = KVSTORE_IF_ABSENT,
                                        .expires_ms =
                                            updater->options->expires_ms};
    kvstore *store = NULL;

    int result = make(updater, NULL, 0);
    if (result == CLI_DONE) {
        result = cli_store_open(updater->options, CLI_CREATE, &store);
    }
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status = kvstore_set_with(store,
                                             updater->key,
                                             strlen(updater->key),
                                             updater->made.bytes,
                                             updater->made.size,
                                             &wanted);
    if (status == KVSTORE_CONFLICT) {
        *is_late_out = true;
    } else if (status != KVSTORE_OK) {
        result =
            cli_store_failed(updater->options, "update", updater->key, status);
    }
    cli_store_close(store);
    return result;
}

static int update(struct updater *updater)
{
    const struct cli_options *options = updater->options;
    bool is_late = true;
    int result = CLI_DONE;

    while (is_late) {
        kvstore *store = NULL;
        is_late = false;
        result = cli_has(options, CLI_OPTION_IF_PRESENT) ||
                         cli_has(options, CLI_OPTION_NO_CREATE)
                     ? cli_store_open_for_present(options, &store)
                     : cli_store_open_if_there(options, CLI_CHANGE, &store);
        if (result == CLI_DONE && store != NULL) {
            result = update_there(updater, store);
            cli_store_close(store);
        } else if (result == CLI_DONE) {
            result = update_nothing(updater, &is_late);
        }
    }
    return result;
}

int cli_command_update(const struct cli_options *options,
                       int count,
                       char **operands)
{
    struct updater updater = {.options = options,
                              .words = cli_child_words(operands + 1),
                              .key = operands[0]};
    int result = cli_store_check_key(operands[0]);

    if (result != CLI_DONE) {
        return result;
    }
    if (updater.words == NULL) {
        return cli_usage_operands(
            cli_command_find("update"), options, count - 1, operands);
    }
    if (!cli_usage_check_child(cli_command_find("update"), operands[1])) {
        return CLI_USAGE;
    }
    result = update(&updater);
    free(updater.made.bytes);
    return result;
}
