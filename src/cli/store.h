/* SPDX-License-Identifier: MIT */

/* The store that the options name: opens it as a command needs it, and reports
 * what went wrong with it in the same words everywhere. Knows no commands. */

#ifndef CLI_STORE_H
#define CLI_STORE_H

#include "cli/options.h"
#include <kvstore.h>

#include <stddef.h>

/* What a command needs of the store. */
enum cli_access {
    CLI_READ,   /* An existing store, even if the user may not write it. */
    CLI_CHANGE, /* An existing store. */
    CLI_CREATE  /* A store, created if there is none and options allow it. */
};

/* Opens the store. Returns CLI_DONE and the handle, to be released with
 * cli_store_close(); else the exit status, and says why. */
int cli_store_open(const struct cli_options *options,
                   enum cli_access access,
                   kvstore **store_out);

/* The same, but if there is no store, that is CLI_DONE and NULL, and nothing is
 * said. */
int cli_store_open_if_there(const struct cli_options *options,
                            enum cli_access access,
                            kvstore **store_out);

/* The same for a change that needs something to be there already: if there is no
 * store, its condition is not met, which is CLI_CONFLICT and not said; unless
 * the options forbid to create one, which is CLI_FAILED and said. */
int cli_store_open_for_present(const struct cli_options *options,
                               kvstore **store_out);

/* Compacts the store if that is due. Called when the command is done and has
 * reported it, so that an interruption here loses nothing. A failure is
 * reported, but the command has not failed. */
void cli_store_compact_if_due(const struct cli_options *options,
                              kvstore *store);

/* Closes the store, if it is open. Warns of damage in it, which the command may
 * have been the first to meet. */
void cli_store_close(kvstore *store);

/* The same for a command that has reported all damage itself. */
void cli_store_close_told(kvstore *store);

/* Called before a call that goes through the whole store, whose progress is
 * shown as the options ask for it.
 * doing is what the lines call it, such as "compacting"; it must stay valid. */
void cli_store_begin(const char *doing);

/* How far it is, if the call does not tell that itself. The total may be
 * CLI_PROGRESS_ENDLESS. */
void cli_store_tell(uint64_t done, uint64_t total);

/* Called after that, before anything is printed. */
void cli_store_end(void);

/* Reports that a call about the whole store failed, as in "cannot compact
 * './data': reason", and returns the exit status. */
int cli_store_call_failed(const struct cli_options *options,
                          const char *verb,
                          kvstore_status status);

/* Reports that a call about a key failed, as in "cannot get 'user' in './data':
 * reason", and returns the exit status. */
int cli_store_failed(const struct cli_options *options,
                     const char *verb,
                     const char *key,
                     kvstore_status status);

/* The same for a key of any bytes. */
int cli_store_key_failed(const struct cli_options *options,
                         const char *verb,
                         const void *key,
                         size_t key_size,
                         kvstore_status status);

/* Says that there is no such key, unless the options ask to be quiet, and if it
 * is spelled like an option, where options go. Returns the exit status. */
int cli_store_missing_key(const struct cli_options *options, const char *key);

/* Returns CLI_DONE if the key has a size that a store accepts. Else says so and
 * returns CLI_USAGE. Called before the store is opened, and so created. */
int cli_store_check_key(const char *key);

/* The same for several keys. */
int cli_store_check_keys(int count, char **keys);

#endif
