/* SPDX-License-Identifier: MIT */

/* An input as the arguments of a command. */

#include "input_arguments.h"

#include "cli/options.h"
#include "cli/when.h"
#include "fuzz.h"
#include <kvstore.h>

#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64u

struct arguments {
    char *bytes; /* Owned. */
    size_t size;
    int count;
    char *list[ARGUMENTS_MAX + 2]; /* A NULL after them. */
};

/* No two options of a set have the same letter, as with each command. */
static const uint64_t accepted_sets[] = {
    CLI_OPTIONS_COMMON,
    (UINT64_C(1) << CLI_OPTIONS_END) - 1 - CLI_OPT(FORCE),
    (UINT64_C(1) << CLI_OPTIONS_END) - 1 - CLI_OPT(FILE),
    0,
};

static void split(struct arguments *arguments, const char *bytes, size_t size)
{
    static char name[] = "kvstore";
    size_t at = 0;

    arguments->bytes = fuzz_allocate(size + 1);
    memcpy(arguments->bytes, bytes, size);
    arguments->bytes[size] = '\0';
    arguments->size = size;
    arguments->count = 0;
    arguments->list[arguments->count++] = name;
    while (at < size && arguments->count <= (int)ARGUMENTS_MAX) {
        arguments->list[arguments->count++] = arguments->bytes + at;
        at += strlen(arguments->bytes + at) + 1;
    }
    arguments->list[arguments->count] = NULL;
}

/* True if it is in one of the arguments. */
static bool is_within(const struct arguments *arguments, const char *text)
{
    return text >= arguments->bytes &&
           text <= arguments->bytes + arguments->size;
}

static bool is_expiry(int64_t expires_ms)
{
    return expires_ms == KVSTORE_EXPIRES_NEVER ||
           expires_ms == KVSTORE_EXPIRES_KEEP ||
           (expires_ms > kvstore_now_ms() && expires_ms <= KVSTORE_EXPIRES_MAX);
}

/* True if the number is what stands there, or the option was not given. */
static bool is_number_of(const struct cli_options *options,
                         enum cli_option option,
                         uint64_t number)
{
    return !cli_has(options, option) ||
           number == strtoull(options->values[option], NULL, 10);
}

static void check_values(const struct cli_options *options,
                         const struct arguments *arguments)
{
    for (int i = 0; i < CLI_OPTIONS_END; i++) {
        enum cli_option option = (enum cli_option)i;
        bool needs_value = cli_spec_of(option)->value != NULL;
        const char *value = options->values[i];
        fuzz_check(value == NULL || is_within(arguments, value),
                   "a value is one of the arguments");
        fuzz_check(!cli_has(options, option) || (value != NULL) == needs_value,
                   "an option has a value exactly if it takes one");
    }
    fuzz_check((options->given & ~options->accepted) == 0,
               "what is given is accepted");
    fuzz_check(is_expiry(options->expires_ms), "an expiry is within bounds");
    fuzz_check(options->lock_timeout_ms >= -1, "a timeout is within bounds");
    fuzz_check(options->conflict_status >= 0 && options->conflict_status <= 255,
               "a status is within bounds");
    fuzz_check(options->data <= CLI_DATA_RESP, "a format is one that there is");
    fuzz_check(is_number_of(options, CLI_OPTION_LIMIT, options->limit) &&
                   is_number_of(options,
                                CLI_OPTION_CONFLICT_STATUS,
                                (uint64_t)options->conflict_status),
               "a number is the one that stands there");
}

/* Options have ended where the operands begin: at "--", at the first one, or at
 * what asks for help. */
static void check_rest(const struct cli_options *options,
                       const struct arguments *arguments,
                       int first)
{
    fuzz_check(first >= 1 && first <= arguments->count,
               "the operands are among the arguments");
    bool was_asked = cli_has(options, CLI_OPTION_HELP) ||
                     cli_has(options, CLI_OPTION_VERSION);
    bool is_over = was_asked || options->has_ended || first == arguments->count;
    const char *operand = is_over ? "" : arguments->list[first];
    fuzz_check(operand[0] != '-' || operand[1] == '\0',
               "the first operand is no option");
    fuzz_check(!options->has_ended ||
                   strcmp(arguments->list[first - 1], "--") == 0,
               "options end early only at --");
    for (int i = first; i < arguments->count; i++) {
        (void)cli_options_is_like_one(options, arguments->list[i]);
    }
}

/* The same time means the same as a moment from now on. */
static void check_times(const struct arguments *arguments)
{
    for (int i = 1; i < arguments->count; i++) {
        struct cli_when when = {.kind = CLI_WHEN_NEVER};
        int64_t time_ms = 0;
        const char *text = arguments->list[i];
        bool is_when = cli_when_parse(text, 1000, &when);
        if (cli_time_parse(text, &time_ms)) {
            fuzz_check(time_ms >= 0, "a time is not negative");
            fuzz_check(is_when == (time_ms > 0 && time_ms <= INT64_MAX - 1000),
                       "a time that is not 0 is a moment, too");
            fuzz_check(!is_when || (when.kind == CLI_WHEN_AT &&
                                    when.at_ms == 1000 + time_ms),
                       "a moment is so long from now");
        }
        fuzz_check(!is_when || when.kind != CLI_WHEN_AT || when.at_ms > 1000,
                   "a moment is to come");
    }
}

void input_arguments_check(const char *bytes, size_t size)
{
    struct arguments arguments;
    struct cli_options options = {.given = 0};
    size_t set_count = sizeof accepted_sets / sizeof accepted_sets[0];
    size_t set = size == 0 ? 0 : (unsigned char)bytes[0] % set_count;

    split(&arguments, bytes + (size > 0), size - (size > 0));
    int first = cli_options_parse(
        &options, accepted_sets[set], arguments.count, arguments.list);
    if (first == CLI_PARSE_UNKNOWN) {
        fuzz_check(options.unknown != NULL && options.unknown[0] == '-',
                   "an unknown option is named");
        (void)cli_spec_suggest(options.unknown, options.accepted);
    } else if (first != CLI_PARSE_FAILED) {
        check_values(&options, &arguments);
        check_rest(&options, &arguments, first);
    }
    check_times(&arguments);
    free(arguments.bytes);
}
