/* SPDX-License-Identifier: MIT */

/* kvstore backup: copies the store, as it is at one moment, to a new
 * directory. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <errno.h>
#include <stddef.h>

int cli_command_backup(const struct cli_options *options,
                       int count,
                       char **operands)
{
    const char *dir = operands[0];
    kvstore *store = NULL;

    (void)count;
    if (dir[0] == '\0') {
        cli_tell("backup: the name of the directory is empty");
        return cli_usage_read_on(cli_command_find("backup"));
    }
    int result = cli_store_open(options, CLI_READ, &store);
    if (result != CLI_DONE) {
        return result;
    }
    cli_store_begin("copying");
    kvstore_status status = kvstore_backup(store, dir);
    cli_store_end();
    if (status == KVSTORE_IO && kvstore_last_error()->system_errno == EEXIST) {
        cli_tell("cannot back up '%s' to '%s': there is a store already",
                 options->data_dir,
                 dir);
        result = CLI_FAILED;
    } else if (status != KVSTORE_OK) {
        cli_tell("cannot back up '%s' to '%s': %s",
                 options->data_dir,
                 dir,
                 cli_reason(status));
        result = cli_exit_status(status);
    }
    cli_store_close(store);
    return result;
}
