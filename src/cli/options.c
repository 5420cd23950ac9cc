/* SPDX-License-Identifier: MIT */

/* The options of the program and of its commands, from the arguments and from
 * the environment. getopt_long does the parsing. It would accept any
 * abbreviation of a long name; this module does not, since a script that
 * abbreviates breaks when another option is added. Knows no commands. */

#include "cli/options.h"

#include "cli/output.h"
#include "cli/when.h"
#include <kvstore.h>

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* For a long name getopt_long returns this plus the option; letters are
 * below. */
#define LONG_OPTION_BASE 256

/* The accepted options in the form that getopt_long takes. */
struct getopt_tables {
    char letters[2 + 2 * CLI_OPTIONS_END + 1];
    struct option names[CLI_OPTIONS_END + 1];
};

bool cli_has(const struct cli_options *options, enum cli_option option)
{
    return (options->given & UINT64_C(1) << option) != 0;
}

static void fill_tables(struct getopt_tables *tables, uint64_t accepted)
{
    /* "+": stop at the first operand. ":": report a missing value differently
     * from an unknown option. */
    char *letter = tables->letters;
    struct option *name = tables->names;

    *letter++ = '+';
    *letter++ = ':';
    for (int i = 0; i < CLI_OPTIONS_END; i++) {
        const struct cli_spec *spec = cli_spec_of((enum cli_option)i);
        bool has_value = spec->value != NULL;
        if ((accepted & UINT64_C(1) << i) == 0) {
            continue;
        }
        if (spec->letter != '\0') {
            *letter++ = spec->letter;
        }
        if (spec->letter != '\0' && has_value) {
            *letter++ = ':';
        }
        /* cppcheck-suppress unknownEvaluationOrder; i is not the pointer */
        *name++ = (struct option){
            .name = spec->name,
            .has_arg = has_value ? required_argument : no_argument,
            .val = LONG_OPTION_BASE + i,
        };
    }
    *letter = '\0';
    *name = (struct option){.name = NULL};
}

/* Finds what getopt_long returned, or left in optopt. */
static enum cli_option find_code(int code, uint64_t accepted)
{
    const char text[] = {'-', (char)code, '\0'};

    if (code >= LONG_OPTION_BASE && code < LONG_OPTION_BASE + CLI_OPTIONS_END) {
        return (enum cli_option)(code - LONG_OPTION_BASE);
    }
    return cli_spec_find(text, accepted);
}

/* Checks an argument that getopt_long would read next: a long option must be
 * written out in full. Returns 0, or what cli_options_parse() is to return. */
static int check_long_name(struct cli_options *options, const char *argument)
{
    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0') {
        return 0;
    }
    enum cli_option option = cli_spec_find(argument, options->accepted);
    if (option == CLI_OPTIONS_END) {
        options->unknown = argument;
        return CLI_PARSE_UNKNOWN;
    }
    const struct cli_spec *spec = cli_spec_of(option);
    if (strchr(argument, '=') != NULL && spec->value == NULL) {
        cli_tell("option --%s takes no value", spec->name);
        return CLI_PARSE_FAILED;
    }
    return 0;
}

static bool read_sync(struct cli_options *options,
                      const char *source,
                      const char *text)
{
    if (strcmp(text, "always") == 0) {
        options->sync = KVSTORE_SYNC_ALWAYS;
    } else if (strcmp(text, "none") == 0) {
        options->sync = KVSTORE_SYNC_NONE;
    } else {
        cli_tell("%s: '%s' is neither 'always' nor 'none'", source, text);
        return false;
    }
    return true;
}

static bool read_timeout(struct cli_options *options,
                         const char *source,
                         const char *text)
{
    int64_t milliseconds = 0;

    if (!cli_time_parse(text, &milliseconds)) {
        cli_tell(
            "%s: '%s' is no time such as " CLI_TIME_EXAMPLES, source, text);
        return false;
    }
    /* The largest number, of some 24 days, waits for ever. */
    options->lock_timeout_ms = milliseconds == 0 ? -1
                               : milliseconds > INT32_MAX
                                   ? INT32_MAX
                                   : (int32_t)milliseconds;
    return true;
}

static bool read_limit(struct cli_options *options, const char *text)
{
    uint64_t limit = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (limit > (UINT64_MAX - digit) / 10) {
            break;
        }
        limit = limit * 10 + digit;
    }
    if (at == text || *at != '\0') {
        cli_tell("--limit: '%s' is no whole number such as 10", text);
        return false;
    }
    options->limit = limit;
    return true;
}

bool cli_options_read_when(const char *source,
                           const char *text,
                           bool may_keep,
                           int64_t *expires_ms_out)
{
    struct cli_when when;

    if (!cli_when_parse(text, kvstore_now_ms(), &when) ||
        (when.kind == CLI_WHEN_AT && when.at_ms > KVSTORE_EXPIRES_MAX)) {
        cli_tell("%s: '%s' is no time to come such as 10m, 7d, @4102444800 or "
                 "never",
                 source,
                 text);
        return false;
    }
    if (when.kind == CLI_WHEN_KEEP && !may_keep) {
        cli_tell("%s: 'keep' would change nothing here", source);
        return false;
    }
    *expires_ms_out = when.kind == CLI_WHEN_AT      ? when.at_ms
                      : when.kind == CLI_WHEN_NEVER ? KVSTORE_EXPIRES_NEVER
                                                    : KVSTORE_EXPIRES_KEEP;
    return true;
}

static bool read_conflict_status(struct cli_options *options, const char *text)
{
    int status = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9' && status <= 255; at++) {
        status = status * 10 + (*at - '0');
    }
    if (at == text || *at != '\0' || status > 255) {
        cli_tell("--conflict-status: '%s' is no number from 0 to 255", text);
        return false;
    }
    options->conflict_status = status;
    return true;
}

static bool read_format(struct cli_options *options, const char *text)
{
    static const char *const names[] = {[CLI_DATA_JSON] = "ndjson",
                                        [CLI_DATA_LOG] = "log",
                                        [CLI_DATA_TSV] = "tsv",
                                        [CLI_DATA_RESP] = "resp"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], text) == 0) {
            options->data = (enum cli_data)i;
            return true;
        }
    }
    cli_tell("--format: '%s' is neither ndjson, log, tsv nor resp", text);
    return false;
}

static bool read_since(const char *text)
{
    if (strcmp(text, "start") != 0) {
        cli_tell("--since: '%s' is not 'start'", text);
        return false;
    }
    return true;
}

/* Checks the value of an option that is more than a text. */
static bool apply(struct cli_options *options,
                  enum cli_option option,
                  const char *value)
{
    options->given |= UINT64_C(1) << option;
    options->values[option] = value;
    switch (option) {
    case CLI_OPTION_DATA_DIR:
        if (value[0] == '\0') {
            cli_tell("--data-dir: the name of the directory is empty");
            return false;
        }
        return true;
    case CLI_OPTION_SYNC:
        return read_sync(options, "--sync", value);
    case CLI_OPTION_TIMEOUT:
        return read_timeout(options, "--timeout", value);
    case CLI_OPTION_LIMIT:
        return read_limit(options, value);
    case CLI_OPTION_EXPIRES:
        return cli_options_read_when(
            "--expires", value, true, &options->expires_ms);
    case CLI_OPTION_CONFLICT_STATUS:
        return read_conflict_status(options, value);
    case CLI_OPTION_FORMAT:
        return read_format(options, value);
    case CLI_OPTION_SINCE:
        return read_since(value);
    default:
        return true;
    }
}

/* Takes in the option that getopt_long could not accept. */
static int refuse(struct cli_options *options, bool value_is_missing)
{
    enum cli_option option = find_code(optopt, options->accepted);

    if (option != CLI_OPTIONS_END && value_is_missing) {
        cli_tell("option --%s needs a value", cli_spec_of(option)->name);
        return CLI_PARSE_FAILED;
    }
    options->unknown_letter[0] = '-';
    options->unknown_letter[1] = (char)optopt;
    options->unknown_letter[2] = '\0';
    options->unknown = options->unknown_letter;
    return CLI_PARSE_UNKNOWN;
}

int cli_options_parse(struct cli_options *options,
                      uint64_t accepted,
                      int argc,
                      char **argv)
{
    struct getopt_tables tables;

    options->accepted = accepted;
    fill_tables(&tables, accepted);
    opterr = 0;
    optind = 0; /* Makes getopt forget the arguments of an earlier call. */
    while (!cli_has(options, CLI_OPTION_HELP) &&
           !cli_has(options, CLI_OPTION_VERSION)) {
        /* Within -abc, argv[optind] is still that argument, which has only one
         * hyphen: so every long name is checked, and nothing else. */
        int next = optind == 0 ? 1 : optind;
        int refused = next < argc ? check_long_name(options, argv[next]) : 0;
        if (refused != 0) {
            return refused;
        }
        int code = getopt_long(argc, argv, tables.letters, tables.names, NULL);
        if (code == -1) {
            options->has_ended = optind > next;
            break;
        }
        enum cli_option option = find_code(code, accepted);
        if (code == ':' || option == CLI_OPTIONS_END) {
            return refuse(options, code == ':');
        }
        if (!apply(options, option, optarg)) {
            return CLI_PARSE_FAILED;
        }
    }
    return optind;
}

/* An empty variable counts as not set. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool cli_options_complete(struct cli_options *options)
{
    const char *sync = variable("KVSTORE_SYNC");
    const char *timeout = variable("KVSTORE_TIMEOUT");

    options->data_dir = options->values[CLI_OPTION_DATA_DIR];
    if (options->data_dir == NULL) {
        options->data_dir = variable("KVSTORE_DATA_DIR");
    }
    if (options->data_dir == NULL) {
        options->data_dir = "./data";
    }
    if (!cli_has(options, CLI_OPTION_SYNC) && sync != NULL &&
        !read_sync(options, "KVSTORE_SYNC", sync)) {
        return false;
    }
    return cli_has(options, CLI_OPTION_TIMEOUT) || timeout == NULL ||
           read_timeout(options, "KVSTORE_TIMEOUT", timeout);
}

bool cli_options_is_like_one(const struct cli_options *options,
                             const char *operand)
{
    if (options->has_ended || operand[0] != '-' || operand[1] == '\0') {
        return false;
    }
    if (operand[1] == '-') {
        return cli_spec_find(operand, options->accepted) != CLI_OPTIONS_END;
    }
    for (const char *at = operand + 1; *at != '\0'; at++) {
        const char text[] = {'-', *at, '\0'};
        if (cli_spec_find(text, options->accepted) == CLI_OPTIONS_END) {
            return false;
        }
    }
    return true;
}
