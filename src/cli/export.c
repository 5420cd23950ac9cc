/* SPDX-License-Identifier: MIT */

/* kvstore export: prints keys and values in key order, in a form that import,
 * or another program, reads. */

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/target.h"
#include "cli/walk.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static enum cli_form choose_form(const struct cli_options *options)
{
    static const enum cli_form forms[] = {[CLI_DATA_JSON] = CLI_FORM_JSON,
                                          [CLI_DATA_LOG] = CLI_FORM_LOG,
                                          [CLI_DATA_TSV] = CLI_FORM_LINE,
                                          [CLI_DATA_RESP] = CLI_FORM_RESP};

    return cli_has(options, CLI_OPTION_NULL) ? CLI_FORM_NUL
                                             : forms[options->data];
}

static int export_range(const struct cli_options *options,
                        const kvstore *store,
                        const char *prefix)
{
    const kvstore_range range = {
        .size = sizeof(range), .prefix = prefix, .prefix_size = strlen(prefix)};
    const char *file = options->values[CLI_OPTION_OUTPUT];
    struct cli_target target = {0};
    uint64_t count = 0;

    /* Before anything is printed; if it fails, it is only slower. */
    (void)setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (file != NULL && !cli_target_begin(&target, file, options->data_dir)) {
        (void)cli_target_end(&target, false);
        return CLI_FAILED;
    }
    struct cli_format format = cli_format_of(choose_form(options));
    cli_store_begin("exporting");
    int result = cli_walk(options, store, &range, &format, &count);
    cli_format_release(&format);
    bool is_wanted = result == CLI_DONE || count > 0;
    return cli_target_end(&target, is_wanted) ? result : CLI_FAILED;
}

int cli_command_export(const struct cli_options *options,
                       int count,
                       char **operands)
{
    kvstore *store = NULL;

    int result = cli_store_open(options, CLI_READ, &store);
    if (result == CLI_DONE) {
        result = export_range(options, store, count == 0 ? "" : operands[0]);
        cli_store_close(store);
    }
    return result;
}
