/* SPDX-License-Identifier: MIT */

/* The table of all options, how to find one in it, and what was meant by a word
 * that is not in it. */

#include "cli/specs.h"

#include "cli/near.h"
#include "cli/output.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct cli_spec specs[CLI_OPTIONS_END] = {
    [CLI_OPTION_STDIN] = {'i',
                          "stdin",
                          NULL,
                          "the value is standard input, every byte of it"},
    [CLI_OPTION_FILE] = {'f',
                         "file",
                         "FILE",
                         "the value is what FILE holds; -: standard input"},
    [CLI_OPTION_CHOMP] = {'\0',
                          "chomp",
                          NULL,
                          "without one newline at the end of what is read"},
    [CLI_OPTION_ALLOW_EMPTY] = {'\0',
                                "allow-empty",
                                NULL,
                                "standard input may be without a byte"},
    [CLI_OPTION_IF_ABSENT] = {'\0',
                              "if-absent",
                              NULL,
                              "only where the key is not there"},
    [CLI_OPTION_IF_PRESENT] = {'\0',
                               "if-present",
                               NULL,
                               "only if the key is there"},
    [CLI_OPTION_IF_VALUE] = {'\0',
                             "if-value",
                             "OLD",
                             "only if this is the key's value"},
    [CLI_OPTION_EXPIRES] = {'\0',
                            "expires",
                            "WHEN",
                            "when it is gone: a time from now such as 10m or\n"
                            "7d, @SECONDS since 1970, never, or keep\n"
                            "(once: not keep)"},
    [CLI_OPTION_RAW] = {'r', "raw", NULL, "exact bytes, no newline added"},
    [CLI_OPTION_WITH_KEYS] = {'k',
                              "with-keys",
                              NULL,
                              "lines of key, tab and value, also for one KEY"},
    [CLI_OPTION_OUTPUT] = {'o',
                           "output",
                           "FILE",
                           "print to FILE, which is replaced at the end"},
    [CLI_OPTION_DEFAULT] = {'\0',
                            "default",
                            "V",
                            "print V for a key, or a store, that is missing"},
    [CLI_OPTION_FORCE] = {'f', "force", NULL, "what is missing is no error"},
    [CLI_OPTION_PREFIX] = {'\0', "prefix", "P", "keys that begin with P"},
    [CLI_OPTION_ALL] = {'\0', "all", NULL, "all keys of the store"},
    [CLI_OPTION_RELEASE] = {'\0',
                            "release",
                            NULL,
                            "remove the key when CMD has succeeded, too"},
    [CLI_OPTION_CONFLICT_STATUS] = {'E',
                                    "conflict-status",
                                    "N",
                                    "return N, not 4, if the key is there"},
    [CLI_OPTION_VALUES] = {'\0',
                           "values",
                           NULL,
                           "lines of key, tab and value, as get prints them"},
    [CLI_OPTION_FROM] = {'\0', "from", "K", "from this key on"},
    [CLI_OPTION_TO] = {'\0', "to", "K", "up to this key and without it"},
    [CLI_OPTION_REVERSE] = {'\0', "reverse", NULL, "the last key first"},
    [CLI_OPTION_LIMIT] = {'\0', "limit", "N", "N of them at most"},
    [CLI_OPTION_COUNT] = {'\0', "count", NULL, "print how many keys they are"},
    [CLI_OPTION_SINCE] = {'\0',
                          "since",
                          "start",
                          "all keys first, then what is new"},
    [CLI_OPTION_FORMAT] = {'\0',
                           "format",
                           "NAME",
                           "ndjson, log, tsv or resp; watch: resp"},
    [CLI_OPTION_JSON] = {'\0', "json", NULL, "print JSON, an object a line"},
    [CLI_OPTION_NULL] = {'0', "null", NULL, "exact bytes, a NUL after each"},
    [CLI_OPTION_DATA_DIR] = {'d',
                             "data-dir",
                             "DIR",
                             "where the store is (KVSTORE_DATA_DIR,\n"
                             "else ./data)"},
    [CLI_OPTION_SYNC] = {'\0',
                         "sync",
                         "MODE",
                         "always: done means on the disk; none: faster,\n"
                         "not safe from a power cut (KVSTORE_SYNC,\n"
                         "else always)"},
    [CLI_OPTION_TIMEOUT] = {'\0',
                            "timeout",
                            "TIME",
                            "how long to wait for another writer, such as\n"
                            "0.5, 200ms or 1m; 0: do not (KVSTORE_TIMEOUT,\n"
                            "else 5s)"},
    [CLI_OPTION_NO_CREATE] = {'\0',
                              "no-create",
                              NULL,
                              "fail if there is no store"},
    [CLI_OPTION_QUIET] = {'q',
                          "quiet",
                          NULL,
                          "no word of what is missing, no progress"},
    [CLI_OPTION_PROGRESS] = {'\0',
                             "progress",
                             NULL,
                             "show progress where there is no terminal, too"},
    [CLI_OPTION_HELP] = {'h', "help", NULL, "print help and exit"},
    [CLI_OPTION_VERSION] = {'V', "version", NULL, "print the version and exit"},
};

static_assert(CLI_OPTIONS_END <= 64, "a set of options has 64 bits");

/* What other stores call an option; those that this program lacks are passed
 * over. */
static const struct {
    const char *word;
    const char *name;
} foreign_words[] = {
    {"nx", "if-absent"},
    {"xx", "if-present"},
    {"cas", "if-value"},
    {"ttl", "expires"},
    {"ex", "expires"},
};

static bool is_in(int option, uint64_t set)
{
    return (set & UINT64_C(1) << option) != 0;
}

const struct cli_spec *cli_spec_of(enum cli_option option)
{
    assert(option < CLI_OPTIONS_END);
    return &specs[option];
}

static enum cli_option find_name(const char *name, size_t size, uint64_t among)
{
    for (int i = 0; i < CLI_OPTIONS_END; i++) {
        if (is_in(i, among) && strlen(specs[i].name) == size &&
            strncmp(specs[i].name, name, size) == 0) {
            return (enum cli_option)i;
        }
    }
    return CLI_OPTIONS_END;
}

enum cli_option cli_spec_find(const char *text, uint64_t among)
{
    if (strncmp(text, "--", 2) == 0) {
        return find_name(text + 2, strcspn(text + 2, "="), among);
    }
    for (int i = 0; i < CLI_OPTIONS_END; i++) {
        bool is_letter = text[0] == '-' && text[1] != '\0' && text[2] == '\0';
        if (is_letter && specs[i].letter == text[1] && is_in(i, among)) {
            return (enum cli_option)i;
        }
    }
    return CLI_OPTIONS_END;
}

const char *cli_spec_suggest(const char *text, uint64_t among)
{
    struct cli_near near;

    if (strncmp(text, "--", 2) != 0) {
        return NULL;
    }
    const char *word = text + 2;
    size_t size = strcspn(word, "=");

    for (size_t i = 0; i < sizeof(foreign_words) / sizeof(foreign_words[0]);
         i++) {
        const char *name = foreign_words[i].name;
        if (strlen(foreign_words[i].word) == size &&
            strncmp(foreign_words[i].word, word, size) == 0 &&
            find_name(name, strlen(name), among) != CLI_OPTIONS_END) {
            return name;
        }
    }
    cli_near_begin(&near, word, size);
    for (int i = 0; i < CLI_OPTIONS_END; i++) {
        if (is_in(i, among)) {
            cli_near_try(&near, specs[i].name);
        }
    }
    return near.best;
}

/* Prints an option's names, and to their right its help. */
static void print_spec(const struct cli_spec *spec)
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

void cli_specs_print(uint64_t shown)
{
    for (int i = 0; i < CLI_OPTIONS_END; i++) {
        if (is_in(i, shown)) {
            print_spec(&specs[i]);
        }
    }
}
