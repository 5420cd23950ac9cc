/* SPDX-License-Identifier: MIT */

/* A key that is held for a while, and held on to: by a value that nobody else
 * has, which expires unless it is renewed. Knows no commands. */

#ifndef CLI_LEASE_H
#define CLI_LEASE_H

#include "cli/options.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stdint.h>

/* How long a lease lasts, and how often it is renewed. Tests use other ones. */
#ifndef CLI_LEASE_MS
#define CLI_LEASE_MS 60000
#endif
#ifndef CLI_LEASE_RENEW_MS
#define CLI_LEASE_RENEW_MS 20000
#endif

struct cli_lease {
    const struct cli_options *options;
    kvstore *store;
    const char *key;
    char value[128];
    bool is_lost; /* Somebody else has it, or has removed it. */
};

/* Takes the key, if it is not there. Returns CLI_DONE, CLI_CONFLICT if it is
 * there, or another exit status, and has said why. */
int cli_lease_take(struct cli_lease *lease,
                   const struct cli_options *options,
                   kvstore *store,
                   const char *key);

/* Holds it for another while. False: that failed, which was reported, and may be
 * tried again; if it was lost, that is said once. */
bool cli_lease_renew(struct cli_lease *lease);

/* Leaves a value in its place that says when it was done. Returns the exit
 * status. expires_ms is as kvstore_set_options has it. */
int cli_lease_keep(struct cli_lease *lease, int64_t expires_ms);

/* Removes the key, unless somebody else has it by now. Returns the exit
 * status. */
int cli_lease_release(struct cli_lease *lease);

#endif
