/* SPDX-License-Identifier: MIT */

/* What the program says when it was called in a wrong way. */

#include "cli/usage.h"

#include "cli/output.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

int cli_usage_read_on(const struct cli_command *command)
{
    if (command == NULL) {
        cli_tell("try 'kvstore --help'");
    } else {
        cli_tell("try 'kvstore %s --help'", command->name);
    }
    return CLI_USAGE;
}

int cli_usage_no_command(void)
{
    cli_tell("no command");
    (void)fputs("usage: kvstore [OPTIONS] COMMAND [OPTIONS] ...\n"
                "  kvstore set user Alice\n"
                "  kvstore get user\n"
                "  kvstore rm user\n"
                "See 'kvstore --help'.\n",
                stderr);
    return CLI_USAGE;
}

int cli_usage_unknown_command(const char *word)
{
    const char *meant = cli_command_suggest(word);

    if (meant == NULL) {
        cli_tell("unknown command '%s'", word);
    } else {
        cli_tell("unknown command '%s': did you mean '%s'?", word, meant);
    }
    return cli_usage_read_on(NULL);
}

/* The first of the words that is a command with this option. NULL: none. */
static const struct cli_command *find_owner(const char *option,
                                            int count,
                                            char **words)
{
    for (int i = 0; i < count; i++) {
        const struct cli_command *command = cli_command_find(words[i]);
        if (command != NULL &&
            cli_spec_find(option, command->options) != CLI_OPTIONS_END) {
            return command;
        }
    }
    return NULL;
}

/* How much of a word is the name of an option: what follows is a value, which is
 * not shown. */
static int name_size(const char *word)
{
    return (int)strcspn(word, "=");
}

static void tell_unknown(const struct cli_options *options)
{
    const char *unknown = options->unknown;
    const char *meant = cli_spec_suggest(unknown, options->accepted);

    if (meant == NULL) {
        cli_tell("unknown option '%.*s'", name_size(unknown), unknown);
    } else {
        cli_tell("unknown option '%.*s': did you mean '--%s'?",
                 name_size(unknown),
                 unknown,
                 meant);
    }
}

int cli_usage_unknown_option(const struct cli_options *options,
                             int count,
                             char **words)
{
    const struct cli_command *owner =
        find_owner(options->unknown, count, words);

    char operand[CLI_OPERAND_SIZE] = "";

    if (owner == NULL) {
        tell_unknown(options);
        return cli_usage_read_on(NULL);
    }
    cli_command_first_operand(owner, operand);
    cli_tell("option '%.*s' goes after '%s'%s%s",
             name_size(options->unknown),
             options->unknown,
             owner->name,
             operand[0] == '\0' ? "" : ", in front of ",
             operand);
    return cli_usage_read_on(owner);
}

int cli_usage_unknown_option_of(const struct cli_command *command,
                                const struct cli_options *options)
{
    tell_unknown(options);
    return cli_usage_read_on(command);
}

/* The first operand that is spelled like an option. NULL: none. */
static const char *find_misplaced(const struct cli_options *options,
                                  int count,
                                  char **operands)
{
    for (int i = 0; i < count; i++) {
        if (cli_options_is_like_one(options, operands[i])) {
            return operands[i];
        }
    }
    return NULL;
}

int cli_usage_operands(const struct cli_command *command,
                       const struct cli_options *options,
                       int count,
                       char **operands)
{
    const char *misplaced = find_misplaced(options, count, operands);
    const char *takes = command->operands;
    char operand[CLI_OPERAND_SIZE];

    cli_command_first_operand(command, operand);

    cli_tell("%s: too %s operands: it takes %s",
             command->name,
             count <= command->operands_min ? "few" : "many",
             takes[0] == '\0' ? "none" : takes);
    if (misplaced != NULL) {
        cli_tell("'%.*s' is an operand here: options go in front of %s",
                 name_size(misplaced),
                 misplaced,
                 operand[0] == '\0' ? "all operands" : operand);
    }
    return cli_usage_read_on(command);
}

bool cli_usage_check_child(const struct cli_command *command, const char *first)
{
    if (first[0] != '-' || strcmp(first, "--") == 0) {
        return true;
    }
    cli_tell(
        "%s: '%.*s' is no CMD: options go in front of KEY, and '--' in front "
        "of a CMD that begins like one",
        command->name,
        name_size(first),
        first);
    (void)cli_usage_read_on(command);
    return false;
}

/* The first option of the set from this one on. NULL: none. *next_out is the one
 * after it. */
static const struct cli_spec *first_of(uint64_t set, int from, int *next_out)
{
    for (int option = from; option < CLI_OPTIONS_END; option++) {
        if ((set & UINT64_C(1) << option) != 0) {
            *next_out = option + 1;
            return cli_spec_of((enum cli_option)option);
        }
    }
    *next_out = CLI_OPTIONS_END;
    return NULL;
}

bool cli_usage_check_excluding(const struct cli_command *command,
                               const struct cli_options *options)
{
    for (int i = 0; i < CLI_EXCLUDING_MAX; i++) {
        uint64_t given = options->given & command->excluding[i];
        int next = 0;
        const struct cli_spec *one = first_of(given, 0, &next);
        const struct cli_spec *other = first_of(given, next, &next);
        if (other != NULL) {
            cli_tell("%s: --%s and --%s exclude each other",
                     command->name,
                     one->name,
                     other->name);
            return false;
        }
    }
    return true;
}
