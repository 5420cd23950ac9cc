/* SPDX-License-Identifier: MIT */

/* The store that the options name: opening it as a command needs it, and
 * telling what went wrong with it in the same words everywhere. Knows no
 * commands. */

#ifndef CLI_STORE_H
#define CLI_STORE_H

#include "cli/options.h"
#include <kvstore.h>

/* What a command wants of the store. */
enum cli_access {
    CLI_READ,   /* A store that is there, also by who may not write it. */
    CLI_CHANGE, /* A store that is there. */
    CLI_CREATE  /* A store, made where there is none. */
};

/* Opens the store. Returns CLI_DONE and the handle, to be released with
 * cli_store_close(); else the exit status, and says why. */
int cli_store_open(const struct cli_options *options,
                   enum cli_access access,
                   kvstore **store_out);

/* Compacts the store if that is due: when what was asked for has been done and
 * told, so that nobody who is interrupted here loses anything. A failure is told,
 * and is none of the command. */
void cli_store_compact_if_due(const struct cli_options *options,
                              kvstore *store);

/* Closes the store. Warns of damage in it, some of which may only have been met
 * by what the command did. */
void cli_store_close(const struct cli_options *options, kvstore *store);

/* The same for a command that has told of all damage itself. */
void cli_store_close_told(kvstore *store);

/* What follows goes through the whole store, and its progress is shown: on a
 * terminal as it goes, elsewhere one line for each tenth. doing is what the
 * lines call it, such as "compacting"; it stays. */
void cli_store_begin(const char *doing);

/* The end of that, before anything is printed. */
void cli_store_end(void);

/* Tells that a call about the whole store failed, such as "cannot compact
 * './data': reason", and returns the exit status. */
int cli_store_call_failed(const struct cli_options *options,
                          const char *verb,
                          kvstore_status status);

/* Tells that a call about a key failed, such as "cannot get 'user' in './data':
 * reason", and returns the exit status. */
int cli_store_failed(const struct cli_options *options,
                     const char *verb,
                     const char *key,
                     kvstore_status status);

/* Says that there is no such key, unless it was asked to be quiet. Returns the
 * exit status. */
int cli_store_missing_key(const struct cli_options *options, const char *key);

/* Has the key a size that a store takes? Else says so and returns
 * CLI_USAGE. Comes before the store is opened, and so created. */
int cli_store_check_key(const char *key);

#endif
