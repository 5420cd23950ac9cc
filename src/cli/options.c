/* SPDX-License-Identifier: MIT */

/* The options of the program and of its commands, from the arguments and from
 * the environment. getopt_long does the parsing. It would accept any
 * abbreviation of a long name; this module does not, since a script that
 * abbreviates breaks when another option is added. Knows no commands. */

#include "cli/options.h"

#include "cli/output.h"
#include <kvstore.h>

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The largest number of seconds whose milliseconds fit in lock_timeout_ms. */
#define TIMEOUT_SECONDS_MAX 2147483

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

struct option_spec {
    unsigned bit;
    char letter; /* NUL: it has only a long name. */
    const char *name;
    const char *value; /* What help calls its value; NULL: it takes none. */
    const char *help;
};

static const struct option_spec specs[] = {
    {
        .bit = CLI_OPTION_FORCE,
        .letter = 'f',
        .name = "force",
        .help = "a missing key is no error",
    },
    {
        .bit = CLI_OPTION_RAW,
        .letter = 'r',
        .name = "raw",
        .help = "the bytes of the value alone, no newline",
    },
    {
        .bit = CLI_OPTION_JSON,
        .name = "json",
        .help = "print JSON",
    },
    {
        .bit = CLI_OPTION_NULL,
        .letter = '0',
        .name = "null",
        .help = "end each key with a NUL byte, not a newline",
    },
    {
        .bit = CLI_OPTION_DATA_DIR,
        .letter = 'd',
        .name = "data-dir",
        .value = "DIR",
        .help = "where the store is (KVSTORE_DATA_DIR, else ./data)",
    },
    {
        .bit = CLI_OPTION_SYNC,
        .name = "sync",
        .value = "MODE",
        .help = "always: done means on the disk; none: faster,\n"
                "not safe from a power cut (KVSTORE_SYNC, else always)",
    },
    {
        .bit = CLI_OPTION_TIMEOUT,
        .name = "timeout",
        .value = "SECONDS",
        .help = "how long to wait for another writer, 0: do not\n"
                "(KVSTORE_TIMEOUT, else 5)",
    },
    {
        .bit = CLI_OPTION_QUIET,
        .letter = 'q',
        .name = "quiet",
        .help = "no warnings, no word of missing keys, no progress",
    },
    {
        .bit = CLI_OPTION_HELP,
        .letter = 'h',
        .name = "help",
        .help = "print help and exit",
    },
    {
        .bit = CLI_OPTION_VERSION,
        .letter = 'V',
        .name = "version",
        .help = "print the version and exit",
    },
};

enum { SPEC_COUNT = sizeof(specs) / sizeof(specs[0]) };

/* For a long name getopt_long returns this plus the place in specs; letters are
 * below. */
#define LONG_OPTION_BASE 256

/* The accepted options in the form that getopt_long takes. */
struct getopt_tables {
    char letters[2 + 2 * SPEC_COUNT + 1];
    struct option names[SPEC_COUNT + 1];
};

static void fill_tables(struct getopt_tables *tables, unsigned accepted)
{
    /* "+": stop at the first operand. ":": report a missing value differently
     * from an unknown option. */
    char *letter = tables->letters;
    struct option *name = tables->names;

    *letter++ = '+';
    *letter++ = ':';
    for (int i = 0; i < SPEC_COUNT; i++) {
        const struct option_spec *spec = &specs[i];
        bool has_value = spec->value != NULL;
        if ((spec->bit & accepted) == 0) {
            continue;
        }
        if (spec->letter != '\0') {
            *letter++ = spec->letter;
        }
        if (spec->letter != '\0' && has_value) {
            *letter++ = ':';
        }
        *name++ = (struct option){
            .name = spec->name,
            .has_arg = has_value ? required_argument : no_argument,
            .val = LONG_OPTION_BASE + i,
        };
    }
    *letter = '\0';
    *name = (struct option){.name = NULL};
}

/* Finds what getopt_long returned, or left in optopt. NULL: unknown. */
static const struct option_spec *find_code(int code, unsigned accepted)
{
    if (code >= LONG_OPTION_BASE && code < LONG_OPTION_BASE + SPEC_COUNT) {
        return &specs[code - LONG_OPTION_BASE];
    }
    for (int i = 0; i < SPEC_COUNT; i++) {
        bool fits = code != '\0' && specs[i].letter == code;
        if (fits && (specs[i].bit & accepted) != 0) {
            return &specs[i];
        }
    }
    return NULL;
}

/* True if the argument is not a long option, or an accepted one written out in
 * full. Else reports what is wrong with it. */
static bool check_long_name(const char *argument, unsigned accepted)
{
    if (argument == NULL || strncmp(argument, "--", 2) != 0 ||
        argument[2] == '\0') {
        return true;
    }
    const char *name = argument + 2;
    size_t name_size = strcspn(name, "=");

    for (int i = 0; i < SPEC_COUNT; i++) {
        const struct option_spec *spec = &specs[i];
        bool matches = strlen(spec->name) == name_size &&
                       strncmp(spec->name, name, name_size) == 0;
        if (!matches || (spec->bit & accepted) == 0) {
            continue;
        }
        if (name[name_size] == '=' && spec->value == NULL) {
            cli_tell("option --%s takes no value", spec->name);
            return false;
        }
        return true;
    }
    cli_tell("unknown option '%s'", argument);
    return false;
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
    options->has_sync = true;
    return true;
}

/* Reads a decimal number of seconds as thousandths, rounded up so that a small
 * number does not become 0. Not with strtod(), whose decimal point depends on
 * the locale. False: not such a number, or one over the limit. */
static bool parse_seconds(const char *text, int64_t *milliseconds_out)
{
    const char *at = text;
    int64_t seconds = 0;
    int64_t fraction_ms = 0;
    int64_t weight_ms = 100;
    bool has_digits = false;
    bool has_rest = false;

    for (; *at >= '0' && *at <= '9'; at++) {
        has_digits = true;
        seconds = seconds * 10 + (*at - '0');
        if (seconds > TIMEOUT_SECONDS_MAX) {
            return false;
        }
    }
    if (*at == '.') {
        at++;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        has_digits = true;
        fraction_ms += weight_ms * (*at - '0');
        has_rest = has_rest || (weight_ms == 0 && *at != '0');
        weight_ms /= 10;
    }
    *milliseconds_out = seconds * 1000 + fraction_ms + (has_rest ? 1 : 0);
    return has_digits && *at == '\0' &&
           *milliseconds_out <= (int64_t)TIMEOUT_SECONDS_MAX * 1000;
}

static bool read_timeout(struct cli_options *options,
                         const char *source,
                         const char *text)
{
    int64_t milliseconds = 0;

    if (!parse_seconds(text, &milliseconds)) {
        cli_tell("%s: '%s' is not a number of seconds from 0 to " TEXT(
                     TIMEOUT_SECONDS_MAX),
                 source,
                 text);
        return false;
    }
    options->lock_timeout_ms = milliseconds == 0 ? -1 : (int32_t)milliseconds;
    options->has_timeout = true;
    return true;
}

static bool apply(struct cli_options *options,
                  const struct option_spec *spec,
                  const char *value)
{
    switch (spec->bit) {
    case CLI_OPTION_DATA_DIR:
        options->data_dir = value;
        if (value[0] == '\0') {
            cli_tell("--data-dir: the name of the directory is empty");
            return false;
        }
        return true;
    case CLI_OPTION_SYNC:
        return read_sync(options, "--sync", value);
    case CLI_OPTION_TIMEOUT:
        return read_timeout(options, "--timeout", value);
    case CLI_OPTION_QUIET:
        options->quiet = true;
        return true;
    case CLI_OPTION_HELP:
        options->help = true;
        return true;
    case CLI_OPTION_VERSION:
        options->version = true;
        return true;
    case CLI_OPTION_RAW:
        options->raw = true;
        return true;
    case CLI_OPTION_JSON:
        options->json = true;
        return true;
    case CLI_OPTION_NULL:
        options->null = true;
        return true;
    default:
        options->force = true;
        return true;
    }
}

/* Reports the option that getopt_long could not accept. */
static void tell_bad_option(bool value_is_missing, unsigned accepted)
{
    const struct option_spec *spec = find_code(optopt, accepted);
    const char letter[] = {(char)optopt, '\0'};

    if (spec != NULL && value_is_missing) {
        cli_tell("option --%s needs a value", spec->name);
    } else {
        cli_tell("unknown option '-%s'", letter);
    }
}

int cli_options_parse(struct cli_options *options,
                      unsigned accepted,
                      int argc,
                      char **argv)
{
    struct getopt_tables tables;

    fill_tables(&tables, accepted);
    opterr = 0;
    optind = 0; /* Makes getopt forget the arguments of an earlier call. */
    while (!options->help && !options->version) {
        /* Within -abc, argv[optind] is still that argument, which has only one
         * hyphen: so every long name is checked, and nothing else. */
        int next = optind == 0 ? 1 : optind;
        if (next < argc && !check_long_name(argv[next], accepted)) {
            return -1;
        }
        int code = getopt_long(argc, argv, tables.letters, tables.names, NULL);
        if (code == -1) {
            break;
        }
        const struct option_spec *spec = find_code(code, accepted);
        if (spec == NULL) {
            tell_bad_option(code == ':', accepted);
            return -1;
        }
        if (!apply(options, spec, optarg)) {
            return -1;
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

    if (options->data_dir == NULL) {
        options->data_dir = variable("KVSTORE_DATA_DIR");
    }
    if (options->data_dir == NULL) {
        options->data_dir = "./data";
    }
    if (!options->has_sync && sync != NULL &&
        !read_sync(options, "KVSTORE_SYNC", sync)) {
        return false;
    }
    return options->has_timeout || timeout == NULL ||
           read_timeout(options, "KVSTORE_TIMEOUT", timeout);
}

/* Prints an option's names, and to their right its help, which may have several
 * lines. */
static void print_spec(const struct option_spec *spec)
{
    char names[40];
    const char letter[] = {spec->letter, '\0'};
    const char *line = spec->help;
    bool has_value = spec->value != NULL;

    (void)snprintf(names,
                   sizeof(names),
                   "%s%s%s--%s%s%s",
                   spec->letter == '\0' ? "  " : "-",
                   letter,
                   spec->letter == '\0' ? "  " : ", ",
                   spec->name,
                   has_value ? " " : "",
                   has_value ? spec->value : "");
    while (line != NULL) {
        size_t size = strcspn(line, "\n");
        cli_print("  %-24s%.*s\n", names, (int)size, line);
        names[0] = '\0';
        line = line[size] == '\0' ? NULL : line + size + 1;
    }
}

void cli_options_print(unsigned shown)
{
    for (int i = 0; i < SPEC_COUNT; i++) {
        if ((specs[i].bit & shown) != 0) {
            print_spec(&specs[i]);
        }
    }
}
