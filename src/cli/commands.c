/* SPDX-License-Identifier: MIT */

/* Finds commands in their tables, and what was meant by a word that is in none.
 * A new command is an entry in a table, and a file that does the work. */

#include "cli/commands.h"

#include "cli/near.h"
#include "cli/table.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { TABLE_COUNT = 3 };

/* The tables, in the order in which help shows them. */
static const struct cli_command *table(int number, int *count_out)
{
    switch (number) {
    case 0:
        return cli_table_keys(count_out);
    case 1:
        return cli_table_many(count_out);
    default:
        return cli_table_store(count_out);
    }
}

/* Words of other programs, and what to type here instead: the command, and more
 * where its name alone does not say it. Those whose command this program lacks
 * are passed over. */
static const struct {
    const char *words[5]; /* NULL: no more. */
    const char *command;
    const char *say; /* NULL: the command. */
} foreign_words[] = {
    {{"put", "store"}, "set", NULL},
    {{"del", "delete", "unset", "remove"}, "rm", NULL},
    {{"keys", "ls", "scan"}, "list", NULL},
    {{"mget", "fetch"}, "get", NULL},
    {{"has"}, "exists", NULL},
    {{"rename"}, "mv", NULL},
    {{"copy"}, "set", "get' and 'set"},
    {{"ttl", "touch", "persist"}, "expire", NULL},
    {{"pop", "getdel"}, "take", NULL},
    {{"decr"}, "incr", "incr KEY -1"},
    {{"mset", "multi", "txn"}, "batch", NULL},
    {{"dump"}, "export", NULL},
    {{"load", "restore"}, "import", NULL},
    {{"lock", "run"}, "once", NULL},
    {{"subscribe", "follow", "tail"}, "watch", NULL},
    {{"vacuum", "gc", "merge"}, "compact", NULL},
    {{"check", "fsck"}, "verify", NULL},
    {{"info", "status"}, "stats", NULL},
    {{"count"}, "list", "list --count"},
};

const struct cli_command *cli_command_at(int place)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        int count = 0;
        const struct cli_command *commands = table(i, &count);
        if (place < count) {
            return &commands[place];
        }
        place -= count;
    }
    return NULL;
}

void cli_command_first_operand(const struct cli_command *command,
                               char name_out[CLI_OPERAND_SIZE])
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *at = command->operands + strcspn(command->operands, capitals);
    size_t size = strspn(at, capitals);

    size = size < CLI_OPERAND_SIZE ? size : CLI_OPERAND_SIZE - 1;
    memcpy(name_out, at, size);
    name_out[size] = '\0';
}

const struct cli_command *cli_command_find(const char *name)
{
    const struct cli_command *command = NULL;

    for (int i = 0; (command = cli_command_at(i)) != NULL; i++) {
        if (strcmp(command->name, name) == 0) {
            break;
        }
    }
    return command;
}

/* True if the word is one of these, in capitals or not. */
static bool is_among(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcasecmp(*words, word) == 0) {
            return true;
        }
    }
    return false;
}

/* True unless this, which is to be typed, needs an option that the command does
 * not have. */
static bool has_option_of(const struct cli_command *command, const char *say)
{
    const char *option = say == NULL ? NULL : strstr(say, "--");

    return option == NULL ||
           cli_spec_find(option, command->options) != CLI_OPTIONS_END;
}

const char *cli_command_suggest(const char *word)
{
    struct cli_near near;

    for (size_t i = 0; i < sizeof(foreign_words) / sizeof(foreign_words[0]);
         i++) {
        const struct cli_command *command =
            cli_command_find(foreign_words[i].command);
        if (command != NULL && is_among(word, foreign_words[i].words) &&
            has_option_of(command, foreign_words[i].say)) {
            const char *say = foreign_words[i].say;
            return say == NULL ? command->name : say;
        }
    }
    cli_near_begin(&near, word, strlen(word));
    const struct cli_command *command;
    for (int i = 0; (command = cli_command_at(i)) != NULL; i++) {
        cli_near_try(&near, command->name);
    }
    return near.best;
}
